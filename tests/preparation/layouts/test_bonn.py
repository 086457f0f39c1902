"""The layout of Bonn: texts and packed segments."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, only, prepare

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def write_bonn(folder, **changed):
    samples = RNG.integers(-300, 300, (3, 4097)).astype(np.int16)
    members = {
        "X": samples,
        "y": np.array(["Z", "S", "N"]),
        "name": np.array(["Z001.txt", "S002.txt", "N003.TXT"]),
        "fs": np.float64(173.61),
    }
    np.savez_compressed(folder / "bonn500.npz", **(members | changed))
    return samples


def test_bonn_both_forms(tmp_path):
    samples = write_bonn(tmp_path)
    for letter, name, values in zip(
        "zSN", ("z001.txt", "S002.txt", "N003.TXT"), samples, strict=True
    ):
        (tmp_path / letter).mkdir()
        (tmp_path / letter / name).write_text("\n".join(map(str, values)) + "\n")
    for form in ("npz", "txt"):
        layout = get_layout(f"bonn/{form}")
        refs = {ref.record_id: ref for ref in layout.find(tmp_path)}
        assert set(refs) == {"Z001", "S002", "N003"}
        labels = {}
        for row, record in enumerate(("Z001", "S002", "N003")):
            recording = layout.read(tmp_path, refs[record])
            np.testing.assert_array_equal(recording.signal, samples[row : row + 1])
            assert recording.signal.dtype == np.float32
            assert (recording.channels, recording.units) == (("EEG",), ("uV",))
            assert recording.sampling_rate_hz == 173.61
            assert recording.attributes == {"subject_known": False}
            labels[record] = [recording.labels[t.name].argmax() for t in layout.tasks]
        assert labels == {"Z001": [0, 0], "S002": [4, 1], "N003": [2, 0]}


def test_bonn_hostile_files(tmp_path):
    npz, txt = get_layout("bonn"), get_layout("bonn/txt")
    write_bonn(tmp_path, y=np.array(["Z", "S", "Q"]))
    with pytest.raises(DataError, match=r"row 2: set 'Q' of segment 'N003.TXT'"):
        npz.find(tmp_path)
    write_bonn(tmp_path, name=np.array(["Z001.txt", "S002.txt", "F003.txt"]))
    with pytest.raises(DataError, match=r"row 2: set 'N' of segment 'F003.txt'"):
        npz.find(tmp_path)
    write_bonn(tmp_path, name=np.array(["Z001.txt"] * 3), y=np.array(["Z"] * 3))
    with pytest.raises(DataError, match=r"record id 'Z001' occurs twice"):
        npz.find(tmp_path)
    write_bonn(tmp_path, X=np.zeros((3, 100), np.int16))
    with pytest.raises(DataError, match=r"X has shape \(3, 100\)"):
        npz.find(tmp_path)
    write_bonn(tmp_path, y=np.array([{}, 1, 2], dtype=object))
    with pytest.raises(UnreadableError, match=r"allow_pickle"):
        npz.find(tmp_path)
    path = tmp_path / "bonn500.npz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadableError, match=r"bonn500.npz cannot be read"):
        npz.find(tmp_path)
    for content, match in (("1\n2\n", r"shape \(2,\); a segment has 4097"), ("1\nx\n", "'x'")):
        (tmp_path / "Z001.txt").write_text(content)
        with pytest.raises(UnreadableError, match=match):
            only(txt, tmp_path)


def test_bonn_as_collected(shared):
    source = shared / "data" / "bonn_eeg"
    layout = get_layout("bonn")
    refs = layout.find(source)
    assert len(refs) == len({ref.subject_id for ref in refs}) == 500
    with np.load(source / "bonn500.npz") as collected:
        for row in (0, 123, 499):
            recording = layout.read(source, refs[row])
            np.testing.assert_array_equal(recording.signal[0], collected["X"][row])
            assert layout.tasks[0].classes[recording.labels["set"].argmax()] == collected["y"][row]


def test_a_debug_run_learns_sets(tmp_path):
    letters = np.array(list("ZONFS") * 8)
    raw = tmp_path / "raw"
    raw.mkdir()
    write_bonn(
        raw,
        X=RNG.integers(-300, 300, (40, 4097)).astype(np.int16),
        y=letters,
        name=np.array([f"{letter}{i // 5:03d}.txt" for i, letter in enumerate(letters)]),
    )
    prepare("bonn", raw, tmp_path / "data")
    evaluation = debug_run("bonn", tmp_path / "data", tmp_path / "run")
    assert evaluation["title"] == "set on bonn"
    assert len(evaluation["evaluations"]["test"]["classes"]) == 5
