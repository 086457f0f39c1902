"""The layout of MIMIC PERform: tables and MATLAB files."""

import numpy as np
import pytest
from scipy import io as scipy_io

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, only, prepare
from tests.preparation.layouts.records import waves

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def perform_signals(num_samples=1250):
    return np.round(waves(3, num_samples), 6)


def write_perform_table(folder, name, signal, subject="p000608", rate="125"):
    rows = np.column_stack([np.arange(signal.shape[1]) / 125, signal.T])
    lines = [",".join("NaN" if np.isnan(v) else f"{v:.10g}" for v in row) for row in rows]
    (folder / f"{name}_data.csv").write_text("\n".join(["Time,PPG,ECG,resp", *lines, ""]))
    (folder / f"{name}_fix.txt").write_text(
        f"{name}\nSampling frequency: {rate} Hz\nOriginal Subject ID: {subject}\n"
        "Original Recording ID: 3146123\nGroup: \n"
    )


def write_perform_mat(path, signals, **fix):
    elements = np.empty((1, len(signals)), [(k, object) for k in ("ppg", "ekg", "imp", "fix")])
    for element, signal in zip(elements[0], signals, strict=True):
        for key, values in zip(("ppg", "ekg", "imp"), signal, strict=False):
            element[key] = {"v": values[:, None], "fs": 125.0}
        if len(signal) == 2:
            element["imp"] = np.zeros((0, 0))
        element["fix"] = {"subj_id": "p000608", "rec_id": "3146123", **fix}
    scipy_io.savemat(path, {"data": elements}, do_compression=True)


def test_mimic_perform_tables(tmp_path):
    layout = get_layout("mimic3/perform")
    signal = perform_signals()
    signal[0, 7] = np.nan
    names = ("mimic_perform_af_001", "mimic_perform_non_af_001", "mimic_perform_train_all_001")
    for name in names:
        write_perform_table(tmp_path, name, signal)
    # The same in the other form is not taken twice.
    write_perform_mat(tmp_path / "mimic_perform_af_data.mat", [signal])
    refs = {ref.record_id: ref for ref in layout.find(tmp_path)}
    assert set(refs) == set(names)
    rhythms = []
    for name in names:
        recording = layout.read(tmp_path, refs[name])
        np.testing.assert_array_equal(recording.signal, signal.astype(np.float32))
        assert recording.channels == ("PPG", "ECG", "RESP")
        assert recording.units == ("", "mV", "")
        assert recording.sampling_rate_hz == 125
        assert refs[name].subject_id == "p000608"
        rhythms.append({task: values.tolist() for task, values in recording.labels.items()})
    assert rhythms == [{"rhythm": [0, 1]}, {"rhythm": [1, 0]}, {}]


@pytest.mark.parametrize("count", [1, 2])
def test_mimic_perform_mat_files(tmp_path, count):
    layout = get_layout("mimic3/perform")
    signals = [perform_signals(), perform_signals(1000)[:2]][:count]
    write_perform_mat(tmp_path / "mimic_perform_non_af_data.mat", signals)
    refs = layout.find(tmp_path)
    assert [ref.record_id[-3:] for ref in refs] == ["001", "002"][:count]
    for ref, signal in zip(refs, signals, strict=True):
        recording = layout.read(tmp_path, ref)
        np.testing.assert_array_equal(recording.signal, signal.astype(np.float32))
        assert recording.channels == ("PPG", "ECG", "RESP")[: len(signal)]
        assert recording.labels["rhythm"].tolist() == [1, 0]
        assert recording.attributes["original_record"] == "3146123"


def test_mimic_perform_hostile_files(tmp_path):
    layout = get_layout("mimic3/perform")
    path = tmp_path / "mimic_perform_af_data.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(DataError, match=r"MATLAB 7.3 file .* '-v7'"):
        layout.find(tmp_path)
    write_perform_mat(path, [perform_signals()])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UnreadableError, match=r"mimic_perform_af_data.mat is cut short"):
        layout.find(tmp_path)
    write_perform_mat(path, [perform_signals()], subj_id="")
    with pytest.raises(DataError, match=r"does not name the subject of mimic_perform_af_001"):
        layout.find(tmp_path)
    scipy_io.savemat(path, {"data": np.arange(3)})
    with pytest.raises(UnreadableError, match=r"no struct array 'data'"):
        layout.find(tmp_path)
    path.unlink()
    write_perform_table(tmp_path, "mimic_perform_af_001", perform_signals(), rate="100")
    with pytest.raises(UnreadableError, match=r"125 samples per second by its times.* states 100"):
        only(layout, tmp_path)
    (tmp_path / "mimic_perform_af_001_fix.txt").unlink()
    with pytest.raises(DataError, match=r"_fix.txt is missing"):
        layout.find(tmp_path)


def test_a_debug_run_learns_rhythms(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in range(16):
        name = f"mimic_perform_{('af', 'non_af')[number % 2]}_{number:03d}"
        write_perform_table(raw, name, perform_signals(), subject=f"p{number:06d}")
    prepare("mimic3/perform", raw, tmp_path / "data")
    evaluation = debug_run("mimic3/perform", tmp_path / "data", tmp_path / "run")
    assert evaluation["title"] == "rhythm on mimic3/perform"
