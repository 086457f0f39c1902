"""PPG with six rhythms: segments of patients, in MATLAB files or packed."""

import numpy as np
import pytest
from scipy import io as scipy_io

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.ppg_rhythm import CLASSES
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, prepare, write_packed

RNG = np.random.default_rng(0)
NAME = "ppg6rhythm"


def write_patient(folder, name, numbers, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "ppgseg": RNG.uniform(size=(len(numbers), 1000)),
        "labels": np.array(numbers, np.uint8)[:, None],
    } | changes
    scipy_io.savemat(folder / f"{name}.mat", content, do_compression=True)
    return content["ppgseg"]


def members(patients, **changes):
    return {
        "label": (np.arange(len(patients)) % 6).astype(np.int8),
        "patient": np.array(patients),
        "classes": np.array(["sinus", "PVC", "PAC", "VT", "SVT", "AF"]),
        "fs": np.int64(100),
        "scale": np.int64(2047),
        "shape": np.array([len(patients), 1000]),
    } | changes


def labels_of(recording):
    return {task: values.argmax() for task, values in recording.labels.items()}


def test_patients_as_published(tmp_path):
    layout = get_layout("ppg_rhythm")
    folder = tmp_path / "valid_testDataset"
    written = {
        "MPA_1": write_patient(folder, "MPA_1", [0, 5, 3]),
        "MPA_2": write_patient(folder, "MPA_2", [4]),
    }
    scipy_io.savemat(tmp_path / "gradshow_AF.mat", {"other": np.zeros(3)})
    refs = layout.find(tmp_path)
    assert [(ref.record_id, ref.subject_id) for ref in refs] == [
        ("MPA_1_0001", "MPA_1"),
        ("MPA_1_0002", "MPA_1"),
        ("MPA_1_0003", "MPA_1"),
        ("MPA_2_0001", "MPA_2"),
    ]
    for ref, label in zip(refs, (0, 5, 3, 4), strict=True):
        recording = layout.read(tmp_path, ref)
        row = recording.attributes["segment"] - 1
        expected = written[ref.subject_id][row].astype(np.float32)
        np.testing.assert_array_equal(recording.signal, expected[None])
        assert (recording.channels, recording.units) == (("PPG",), ("",))
        assert recording.sampling_rate_hz == 100
        assert labels_of(recording) == {"rhythm": label, "af": int(label == 5)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.array([[6]])}, r"MPA_1.mat has the labels 6; 0 to 5"),
        ({"ppgseg": np.zeros((1, 900))}, r"segments of shape \(1, 900\) and 1 labels"),
        ({"ppgseg": np.zeros((2, 1000))}, r"segments of shape \(2, 1000\) and 1 labels"),
        ({"ppgseg": "text"}, r"MPA_1.mat cannot be read .variable 'ppgseg' is a char"),
    ],
)
def test_hostile_patients(tmp_path, changes, message):
    write_patient(tmp_path, "MPA_1", [0], **changes)
    with pytest.raises(UnreadableError, match=message):
        get_layout("ppg_rhythm").find(tmp_path)


def test_broken_matlab_files(tmp_path):
    layout = get_layout("ppg_rhythm")
    path = tmp_path / "MPA_1.mat"
    scipy_io.savemat(path, {"labels": np.zeros((1, 1))})
    with pytest.raises(UnreadableError, match=r"MPA_1.mat cannot be read .*ppgseg"):
        layout.find(tmp_path)
    write_patient(tmp_path, "MPA_1", [0, 1])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadableError, match=r"MPA_1.mat is cut short"):
        layout.find(tmp_path)
    path.write_bytes(b"\0" * 500)
    with pytest.raises(UnreadableError, match=r"not a MATLAB file of version 5 to 7"):
        layout.find(tmp_path)
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(DataError, match=r"MATLAB 7.3 file .* '-v7'"):
        layout.find(tmp_path)
    (tmp_path / "again").mkdir()
    write_patient(tmp_path, "MPA_1", [0])
    write_patient(tmp_path / "again", "MPA_1", [0])
    with pytest.raises(DataError, match="record id 'MPA_1_0001' occurs twice"):
        layout.find(tmp_path)


def test_packed_segments(tmp_path):
    layout = get_layout("ppg_rhythm/flac")
    values = RNG.integers(0, 2048, (5, 1000))
    write_packed(tmp_path, NAME, values, **members(["a", "a", "b", "a", "b"]))
    refs = layout.find(tmp_path)
    assert [ref.record_id for ref in refs] == ["a_0001", "a_0002", "b_0001", "a_0003", "b_0002"]
    for row, ref in enumerate(refs):
        recording = layout.read(tmp_path, ref)
        np.testing.assert_allclose(recording.signal[0], values[row] / 2047, rtol=1e-6)
        assert labels_of(recording)["rhythm"] == row


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": np.array([2, 900])}, r"has shape \(2, 900\) at 100 Hz"),
        ({"fs": np.int64(125)}, r"at 125 Hz of classes sinus"),
        ({"classes": np.array(["AF", "sinus"])}, r"of classes af, sinus"),
        ({"label": np.array([0, 9])}, r"has the labels 0, 9"),
        ({"patient": np.array(["a"])}, r"differ in their number of rows"),
    ],
)
def test_hostile_packed_files(tmp_path, changes, message):
    write_packed(tmp_path, NAME, np.zeros((2, 1000)), **members(["a", "b"], **changes))
    with pytest.raises(DataError, match=message):
        get_layout("ppg_rhythm/flac").find(tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    patients = [f"p{i // 6}" for i in range(60)]
    values = RNG.integers(0, 2048, (60, 1000))
    write_packed(root / "raw", NAME, values, **members(patients))
    report = prepare("ppg_rhythm/flac", root / "raw", root / "data")
    assert report.num_subjects == 10
    return root / "data"


@pytest.mark.parametrize("task", ["rhythm", "af"])
def test_a_debug_run_learns_rhythms(prepared, tmp_path, task):
    evaluation = debug_run("ppg_rhythm/flac", prepared, tmp_path / "run", **{"labels.task": task})
    assert "test" in evaluation["evaluations"]


def test_the_packed_set_as_collected(shared):
    source = shared / "data" / "ppg_rhythm"
    if not source.is_dir():
        pytest.skip(f"needs {source}")
    layout = get_layout("ppg_rhythm/flac")
    refs = layout.find(source)
    assert len(refs) == 10_620
    assert len({ref.subject_id for ref in refs}) == 28
    counts = [sum(ref.details["label"] == i for ref in refs) for i in range(len(CLASSES))]
    assert counts == [3248, 1120, 969, 1074, 1125, 3084]
    for ref in refs[::2000]:
        signal = layout.read(source, ref).signal
        assert (signal.min(), signal.max()) == (0, 1)
