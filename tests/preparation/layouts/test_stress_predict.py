"""The layout of Stress-Predict: exports, and the data set as collected."""

import io

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import E4_CHANNELS
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, only, prepare
from tests.preparation.layouts.wearables import marks_of, wave


def stress_members(subject="S02", seconds=60, acc_start=100.5):
    members = {
        "BVP": wave(seconds * 64, 64).astype(np.float32),
        "EDA": np.full(seconds * 4, 2.0, np.float32),
        "TEMP": np.full(seconds * 4, 31.5, np.float32),
        "ACC": np.full((seconds * 32, 3), 64, np.float32),
        "label1hz": np.repeat([-1, 0, 1], [9, 21, 30]).astype(np.int8),
        **{f"{sensor}_t0": np.float64(100.0) for sensor in ("BVP", "EDA", "TEMP")},
        "ACC_t0": np.float64(acc_start),
    }
    return {f"{subject}_{name}": value for name, value in members.items()}


def test_stress_predict(tmp_path):
    members = stress_members()
    unlabeled = stress_members("S01")
    unlabeled["S01_label1hz"][:] = -1
    np.savez(tmp_path / "stress_predict_e4.npz", **members, **unlabeled)
    layout = get_layout("stress_predict")
    first, second = layout.find(tmp_path)
    assert (second.record_id, second.subject_id) == ("S02", "S02")
    recording = layout.read(tmp_path, second)
    assert recording.channels == E4_CHANNELS
    # All begin with ACC, half a second late; EDA ends first, with its sample at 59.75 s.
    assert recording.signal.shape == (6, 59.25 * 64 + 1)
    np.testing.assert_array_equal(recording.signal[0], members["S02_BVP"][32 : 32 + 59 * 64 + 17])
    np.testing.assert_allclose(recording.signal[3:], 1, rtol=2e-7)
    assert marks_of(recording.annotations["stress"]) == [
        (round(8.5 * 64), round(29.5 * 64), 0),
        (round(29.5 * 64), recording.signal.shape[1], 1),
    ]
    assert recording.attributes["start_epoch_s"] == 100.5
    assert layout.read(tmp_path, first).annotations == {}


def test_hostile_stress_predict_files(tmp_path):
    layout = get_layout("stress_predict")
    path = tmp_path / "stress_predict_e4.npz"
    members = stress_members()
    np.savez(path, **(members | {"S02_label1hz": np.array([0, 1, 2])}))
    with pytest.raises(UnreadableError, match="subject S02: labels 0, 1, 2; expected 1"):
        only(layout, tmp_path)
    np.savez(path, **{k: v for k, v in members.items() if k != "S02_TEMP_t0"})
    with pytest.raises(DataError, match="has no member 'S02_TEMP_t0'"):
        only(layout, tmp_path)
    np.savez(path, **(members | {"S02_ACC": np.zeros((10, 2))}))
    with pytest.raises(UnreadableError, match=r"ACC has shape \(10, 2\)"):
        only(layout, tmp_path)
    np.savez(path, **(members | {"S02_BVP_t0": np.float64("nan")}))
    with pytest.raises(UnreadableError, match="a start time is nan"):
        only(layout, tmp_path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(DataError, match="no member such as 'S01_BVP'; it has other"):
        layout.find(tmp_path)
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    path.write_bytes(buffer.getvalue()[:-500])
    with pytest.raises(UnreadableError, match=r"stress_predict_e4.npz cannot be read"):
        layout.find(tmp_path)


def test_stress_predict_as_collected(shared):
    source = shared / "data" / "stress_predict"
    layout = get_layout("stress_predict")
    refs = layout.find(source)
    assert len({ref.subject_id for ref in refs}) == len(refs) == 25
    with np.load(source / "stress_predict_e4.npz") as collected:
        for ref in refs:
            recording = layout.read(source, ref)
            num_samples = recording.signal.shape[1]
            bvp = collected[f"{ref.record_id}_BVP"]
            assert len(bvp) - 7 * 64 < num_samples <= len(bvp)
            np.testing.assert_array_equal(recording.signal[0], bvp[:num_samples])
            labels = collected[f"{ref.record_id}_label1hz"]
            if ref.record_id == "S01":
                assert recording.annotations == {}
                continue
            annotations = recording.annotations["stress"]
            for number in (0, 1):
                of_class = annotations.label == number
                seconds = (annotations.stop - annotations.start)[of_class].sum() / 64
                assert abs(seconds - (labels == number).sum()) < 7
            # At rest or not, the wrist feels about 1 g.
            assert 0.8 < np.median(np.linalg.norm(recording.signal[3:], axis=0)) < 1.2


def test_an_export_agrees_with_what_was_collected_from_it(shared):
    source = shared / "data" / "stress_predict"
    _, exported = only(get_layout("stress_predict/e4"), source / "native_e4")
    layout = get_layout("stress_predict")
    collected = layout.read(source, layout.find(source)[0])
    # Collected as float32, exported with six decimals.
    np.testing.assert_allclose(exported.signal, collected.signal, rtol=1e-5, atol=1e-5)
    assert exported.attributes == collected.attributes


def test_a_debug_run_learns_stress(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    members = {}
    for number in range(10):
        subject = f"S{number:02d}"
        rng = np.random.default_rng(number)
        noisy = {
            name: values + rng.normal(size=values.shape)
            for name, values in stress_members(subject).items()
            if name.endswith(("BVP", "EDA", "TEMP", "ACC"))
        }
        members |= stress_members(subject) | noisy
    np.savez(raw / "stress_predict_e4.npz", **members)
    prepare("stress_predict", raw, tmp_path / "data")
    evaluation = debug_run("stress_predict", tmp_path / "data", tmp_path / "run")
    assert evaluation["title"] == "stress on stress_predict"
