"""Layouts of wearables: pickles that run nothing, and channels of several rates on one grid."""

import io
import os
import pickle

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.restricted_pickle import read_pickled_arrays
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import E4_CHANNELS, Track, align_tracks
from physio_mae_jax.preparation.layouts.interval_runs import label_annotations
from physio_mae_jax.preparation.registry import get_layout

RNG = np.random.default_rng(0)


def only(layout, source):
    (ref,) = layout.find(source)
    return ref, layout.read(source, ref)


def marks_of(annotations):
    return list(
        zip(
            annotations.start.tolist(),
            annotations.stop.tolist(),
            annotations.label.tolist(),
            strict=True,
        )
    )


def wave(num_samples, rate_hz, frequency_hz=0.3, start_s=0.0):
    return np.sin(2 * np.pi * frequency_hz * (start_s + np.arange(num_samples) / rate_hz))


# Pickles


class Reduced:
    """Pickles as a call of a function, with a state set afterwards."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_arrays_come_back_at_every_protocol(tmp_path, protocol):
    content = {
        "nested": [{"columns": np.asfortranarray(RNG.normal(size=(3, 4)))}, ("text", None, 1.5)],
        "big_endian": np.arange(5, dtype=">i4"),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.float64(2.5),
        "same": (shared := np.arange(3)),
        "again": shared,
        "raw": b"\xff\x00",
    }
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    found = read_pickled_arrays(path)
    columns = found["nested"][0]["columns"]
    np.testing.assert_array_equal(columns, content["nested"][0]["columns"])
    assert found["nested"][1] == ("text", None, 1.5)
    np.testing.assert_array_equal(found["big_endian"], np.arange(5))
    assert found["empty"].shape == (0, 3)
    assert found["scalar"] == 2.5
    assert found["same"] is found["again"]
    assert found["raw"] == b"\xff\x00"


def test_pickles_of_python_2_and_old_numpy_come_back(tmp_path):
    # What Python 2 writes: bytes of arrays as text, numpy.core, and a state without a version.
    stream = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'i2'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"S'\\xff\\x00\\x01\\x02'\ntb."
    )
    path = tmp_path / "a.pkl"
    path.write_bytes(stream)
    np.testing.assert_array_equal(read_pickled_arrays(path), [255, 513])


@pytest.mark.parametrize("module", ["posix", "builtins", "numpy"])
def test_pickles_that_would_run_something_are_rejected_and_run_nothing(tmp_path, module):
    trace = tmp_path / "was_here"
    call = {
        "posix": (os.system, (f"touch {trace}",)),
        "builtins": (eval, (f"open({str(trace)!r}, 'w').close()",)),
        "numpy": (np.save, (str(trace), np.arange(3))),
    }[module]
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"signal": np.arange(3), "then": Reduced(*call)}))
    with pytest.raises(DataError, match=rf"names {module}\..*no code of the file was executed"):
        read_pickled_arrays(path)
    assert not list(tmp_path.glob("was_here*"))
    # It would have been run.
    pickle.loads(path.read_bytes())
    assert list(tmp_path.glob("was_here*"))


def test_bytes_do_not_pass_for_objects(tmp_path):
    """NumPy lets a pickle say that addresses of objects are plain numbers."""
    dtype = Reduced(np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0))
    new = np.zeros(0).__reduce__()
    array = Reduced(new[0], new[1], (1, (1,), dtype, False, b"\x01" * 8))
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps(array))
    with pytest.raises(UnreadableError, match="O8"):
        read_pickled_arrays(path)
    path.write_bytes(pickle.dumps(np.array([{}, 1], dtype=object)))
    with pytest.raises(UnreadableError, match="numbers are expected"):
        read_pickled_arrays(path)


def test_small_pickles_of_very_many_references_end(tmp_path):
    nested = [1]
    for _ in range(60):
        nested = [nested, nested]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(nested))
    # Whoever walks it would never end.
    with pytest.raises(UnreadableError, match=r"a\.pkl cannot be read .*(nested|over and over)"):
        read_pickled_arrays(path)
    cycle = []
    cycle.append(cycle)
    path.write_bytes(pickle.dumps(cycle))
    with pytest.raises(UnreadableError, match="nested more than 50 deep"):
        read_pickled_arrays(path)


def test_broken_pickles_are_named(tmp_path):
    path = tmp_path / "a.pkl"
    content = pickle.dumps({"a": np.arange(1000)})
    wrong_shape = np.arange(4).__reduce__()
    state = (1, (5,), np.dtype(np.int64), False, bytes(32))
    for data in (b"", b"hello", content[:500], pickle.dumps(Reduced(*wrong_shape[:2], state))):
        path.write_bytes(data)
        with pytest.raises(UnreadableError, match=r"a\.pkl cannot be read"):
            read_pickled_arrays(path)
    with pytest.raises(UnreadableError, match=r"b\.pkl"):
        read_pickled_arrays(tmp_path / "b.pkl")


# Several rates on one grid


def track(name, rate_hz, num_samples, start_s=0.0, **options):
    values = wave(num_samples, rate_hz, start_s=start_s)
    return Track(
        name=name, values=values, sampling_rate_hz=rate_hz, unit="", start_s=start_s, **options
    )


def test_channels_of_several_rates_and_starts_meet_in_time():
    tracks = [track("A", 64.0, 64 * 60), track("B", 4.0, 4 * 58, 1.25), track("C", 32.0, 1900, 0.5)]
    joined = align_tracks(tracks, "x")
    assert joined.sampling_rate_hz == 64
    assert joined.start_s == 1.25
    # B ends first, at its last sample, and nothing is invented after it.
    first_end_s = min(t.start_s + (len(t.values) - 1) / t.sampling_rate_hz for t in tracks)
    assert joined.signal.shape == (3, round((first_end_s - 1.25) * 64) + 1)
    assert joined.signal.dtype == np.float32
    expected = wave(joined.signal.shape[1], 64.0, start_s=1.25)
    np.testing.assert_allclose(joined.signal[0], expected, atol=1e-6)
    inner = slice(5 * 64, -5 * 64)
    np.testing.assert_allclose(joined.signal[:, inner], np.stack([expected[inner]] * 3), atol=0.01)
    assert joined.conversions == (
        "A: cropped to the common time range",
        "B: 4 to 64 Hz by a low-pass polyphase filter",
        "C: 32 to 64 Hz by a low-pass polyphase filter",
        "C: cropped to the common time range",
    )
    assert joined.cut_s[0] == 1.25


def test_starts_off_the_grid_are_met_to_half_a_sample_and_said_so():
    joined = align_tracks([track("A", 64.0, 640), track("B", 64.0, 640, 0.1)], "x")
    assert joined.conversions == (
        "A: shifted by less than a sample onto the common grid",
        "A: cropped to the common time range",
        "B: cropped to the common time range",
    )
    assert joined.signal.shape == (2, 640 - 6)
    np.testing.assert_array_equal(joined.signal[0], wave(640, 64.0)[6:].astype(np.float32))


def test_channels_without_common_time_are_rejected():
    with pytest.raises(UnreadableError, match="A and B do not overlap in time"):
        align_tracks([track("A", 64.0, 640), track("B", 64.0, 640, 11.0)], "x")


def test_runs_of_labels_become_intervals_within_the_recording():
    labels = np.array([0, 0, 1, 1, 1, -1, 0])
    options = {"label_rate_hz": 1.0, "sampling_rate_hz": 64.0, "excluded": -1}
    annotations = label_annotations(labels, num_samples=1000, **options)
    assert marks_of(annotations) == [(0, 128, 0), (128, 320, 1), (384, 448, 0)]
    annotations = label_annotations(labels, num_samples=200, offset_s=-1.5, **options)
    assert marks_of(annotations) == [(0, 32, 0), (32, 200, 1)]
    assert marks_of(label_annotations(labels[:0], num_samples=200, **options)) == []


# Empatica exports


def write_export(folder, seconds=60, start=1644226061.0, acc_start=None):
    folder.mkdir(parents=True, exist_ok=True)
    sensors = {
        "BVP": (np.round(wave(seconds * 64, 64, 1.2), 2)[:, None], 64, start),
        "EDA": (np.round(2 + 0.1 * wave(seconds * 4, 4, 0.1), 6)[:, None], 4, start),
        "TEMP": (np.full((seconds * 4, 1), 31.5), 4, start),
        "ACC": (RNG.integers(-64, 64, (seconds * 32, 3)), 32, acc_start or start),
    }
    for name, (values, rate, begin) in sensors.items():
        head = [
            ", ".join([f"{begin:.6f}"] * values.shape[1]),
            ", ".join([f"{rate:.6f}"] * values.shape[1]),
        ]
        rows = [",".join(f"{value:g}" for value in row) for row in values]
        (folder / f"{name}.csv").write_text("\n".join(head + rows) + "\n")
    return {
        name: np.loadtxt((folder / f"{name}.csv"), delimiter=",", skiprows=2) for name in sensors
    }


@pytest.mark.parametrize("name", ["wesad/e4", "stress_predict/e4"])
def test_empatica_exports(tmp_path, name):
    written = write_export(tmp_path / "S2" / "S2_E4_Data", acc_start=1644226063.5)
    write_export(tmp_path / "S10")
    layout = get_layout(name)
    refs = layout.find(tmp_path)
    assert [(r.record_id, r.subject_id) for r in refs] == [("S10", "S10"), ("S2/S2_E4_Data", "S2")]
    recording = layout.read(tmp_path, refs[1])
    assert recording.channels == E4_CHANNELS == layout.expected_channels
    assert recording.units == ("", "uS", "degC", "g", "g", "g")
    assert recording.sampling_rate_hz == 64
    length = recording.signal.shape[1]
    # The accelerometer began 2.5 s later, which is 160 samples.
    np.testing.assert_array_equal(
        recording.signal[0], written["BVP"][160 : 160 + length].astype(np.float32)
    )
    np.testing.assert_allclose(recording.signal[2], 31.5, rtol=2e-7)
    # Every sixteenth sample of a channel four times a second is its own, but for the filter.
    eda = recording.signal[1, ::16]
    np.testing.assert_allclose(eda, written["EDA"][10 : 10 + len(eda)], atol=0.01)
    np.testing.assert_allclose(
        recording.signal[3:, 320::2][:, :1000], written["ACC"][160:1160].T / 64, atol=0.1
    )
    assert "ACC_X, ACC_Y, ACC_Z: counts divided by 64 are g" in recording.conversions
    assert "PPG: cropped to the common time range" in recording.conversions
    assert recording.attributes["start_epoch_s"] == 1644226063.5
    assert recording.attributes["cut_at_start_s"] == 2.5
    # Labels need the questionnaires of WESAD, see tests/test_layout_wesad_wrist.py.
    assert recording.annotations == {}


def test_hostile_exports(tmp_path):
    layout = get_layout("wesad/e4")
    write_export(tmp_path / "S2")
    eda, acc = tmp_path / "S2" / "EDA.csv", tmp_path / "S2" / "ACC.csv"
    content = eda.read_text()
    for text, match in (
        (content.replace("\n2", "\nbad", 1), "line 3: column 1 reads 'bad"),
        (content.replace("\n2", "\n\n2", 1), "line 3 is empty"),
        (content.replace("\n2", "\ninf\n2", 1), "line 3: column 1 reads 'inf'"),
        ("", "EDA.csv has no samples"),
        ("1644226061\n4\n", "EDA.csv has no samples"),
        ("1644226061\n0\n1\n2\n", r"begins with '1644226061' and '0'"),
        ("1\n4\n1\n2\n", r"begins with '1' and '4'"),
        ("1644226061,1\n4,4\n1,2\n", r"expected a start in seconds since 1970"),
        (content.replace("1644226061", "1644220000"), "do not overlap in time"),
    ):
        eda.write_text(text)
        with pytest.raises(UnreadableError, match=match):
            only(layout, tmp_path)
    eda.write_text(content)
    acc.write_text(acc.read_text().rstrip().rpartition(",")[0])
    with pytest.raises(UnreadableError, match=r"ACC.csv, line \d+: column 3 reads 'nan'"):
        only(layout, tmp_path)
    acc.unlink()
    with pytest.raises(DataError, match=r"ACC.csv is missing"):
        only(layout, tmp_path)


# WESAD


def wesad_content(seconds=30, subject="S2"):
    num_chest = seconds * 700
    labels = np.repeat([0, 1, 2, 7, 3, 4], [700, 7000, 3500, 700, 2100, num_chest - 14000])
    return {
        "signal": {
            "chest": {
                "ACC": RNG.normal(size=(num_chest, 3)),
                "ECG": RNG.normal(size=(num_chest, 1)),
                "EMG": RNG.normal(size=(num_chest, 1)),
                "EDA": RNG.normal(size=(num_chest, 1)),
                "Temp": RNG.normal(size=(num_chest, 1)).astype(np.float32),
                "Resp": RNG.normal(size=(num_chest, 1)),
            },
            "wrist": {
                "ACC": RNG.integers(-64, 64, (seconds * 32, 3)).astype(float),
                "BVP": RNG.normal(size=(seconds * 64, 1)),
                "EDA": RNG.normal(size=(seconds * 4, 1)),
                "TEMP": RNG.normal(size=(seconds * 4, 1)),
            },
        },
        "label": labels,
        "subject": subject,
    }


def write_wesad(folder, content, protocol=2):
    (folder / "S2").mkdir(parents=True, exist_ok=True)
    (folder / "S2" / "S2.pkl").write_bytes(pickle.dumps(content, protocol))


def with_byte_keys(value):
    if not isinstance(value, dict):
        return value
    return {key.encode(): with_byte_keys(part) for key, part in value.items()}


@pytest.mark.parametrize("convert", [dict, with_byte_keys])
def test_wesad_chest(tmp_path, convert):
    content = wesad_content()
    write_wesad(tmp_path, convert(content))
    ref, recording = only(get_layout("wesad"), tmp_path)
    assert (ref.record_id, ref.subject_id) == ("S2", "S2")
    chest = content["signal"]["chest"]
    keys = ("ECG", "ACC", "EMG", "EDA", "Temp", "Resp")
    expected = np.concatenate([chest[key] for key in keys], axis=1).T.astype(np.float32)
    np.testing.assert_array_equal(recording.signal, expected)
    assert recording.channels == ("ECG", "ACC_X", "ACC_Y", "ACC_Z", "EMG", "EDA", "TEMP", "RESP")
    assert recording.units == ("mV", "g", "g", "g", "mV", "uS", "degC", "%")
    assert recording.sampling_rate_hz == 700
    assert recording.conversions == ()
    assert marks_of(recording.annotations["stress"]) == [
        (700, 7700, 0),
        (7700, 11200, 1),
        (11900, 14000, 0),
    ]
    assert marks_of(recording.annotations["affect"]) == [
        (0, 700, 0),
        (700, 7700, 1),
        (7700, 11200, 2),
        (11200, 11900, 0),
        (11900, 14000, 3),
        (14000, 21000, 4),
    ]


def test_wesad_wrist(tmp_path):
    content = wesad_content()
    write_wesad(tmp_path, content)
    _, recording = only(get_layout("wesad/wrist"), tmp_path)
    assert recording.channels == E4_CHANNELS
    assert recording.sampling_rate_hz == 64
    # EDA and TEMP end first, with their sample at 29.75 s.
    assert recording.signal.shape == (6, 29.75 * 64 + 1)
    bvp = content["signal"]["wrist"]["BVP"][: recording.signal.shape[1], 0]
    np.testing.assert_array_equal(recording.signal[0], bvp.astype(np.float32))
    assert np.abs(recording.signal[3:]).max() < 2
    assert marks_of(recording.annotations["affect"])[:3] == [
        (0, 64, 0),
        (64, 704, 1),
        (704, 1024, 2),
    ]
    assert marks_of(recording.annotations["affect"])[-1] == (1280, recording.signal.shape[1], 4)
    assert "EDA: 4 to 64 Hz by a low-pass polyphase filter" in recording.conversions


def test_hostile_wesad_pickles(tmp_path):
    layout = get_layout("wesad")
    content = wesad_content()
    for changes, match in (
        ({"subject": "S3"}, "has subject 'S3'; its file name has 'S2'"),
        ({"label": content["label"] + 5}, "label 8 occurs; labels of WESAD are 0 to 7"),
        ({"label": content["label"] * 0.5}, "must be a 1-D array of integers"),
        ({"signal": {"wrist": {}}}, "has no 'chest'; it has wrist"),
        ({"signal": {"chest": {"ECG": np.zeros((9, 2))}}}, r"ECG of the chest has shape \(9, 2\)"),
        ({"signal": {"chest": {"ECG": [1.0]}}}, "ECG is a list; an array of numbers"),
    ):
        write_wesad(tmp_path, content | changes)
        with pytest.raises(UnreadableError, match=match):
            only(layout, tmp_path)
    write_wesad(tmp_path, [content])
    with pytest.raises(UnreadableError, match=r"no 'subject'; it has .*list"):
        only(layout, tmp_path)
    trace = tmp_path / "was_here"
    write_wesad(tmp_path, content | {"more": Reduced(os.system, (f"touch {trace}",))})
    with pytest.raises(
        DataError, match=r"S2.pkl names posix.system.*no code of the file was executed"
    ):
        only(layout, tmp_path)
    assert not trace.exists()
    path = tmp_path / "S2" / "S2.pkl"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UnreadableError, match=r"S2.pkl cannot be read"):
        only(layout, tmp_path)
    (tmp_path / "again").mkdir()
    write_wesad(tmp_path / "again", content)
    with pytest.raises(DataError, match="record id 'S2' occurs twice"):
        layout.find(tmp_path)


# Stress-Predict


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


# Real signals


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
