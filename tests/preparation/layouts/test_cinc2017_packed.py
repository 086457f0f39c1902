"""CinC 2017 as packed: recordings of several lengths, and copies that share a subject."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.signal_copies import COPY
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, prepare, write_packed

RNG = np.random.default_rng(0)
NAME = "cinc2017_150hz"
CLASSES = ("normal", "af", "other", "noisy")


def write(folder, lengths, **changes):
    """Write recordings of which the last two are copies."""
    signals = [RNG.integers(-900, 900, n) for n in lengths]
    signals[-1] = signals[-2]
    count = len(lengths)
    members = {
        "rec": np.array([f"A{i + 1:05d}" for i in range(count)]),
        "label": np.array(["NAO~"[i % 4] for i in range(count)]),
        "length": np.array(lengths, np.int32),
        "signal_group": np.array([*range(count - 1), count - 2], np.int32),
        "fs": np.int32(150),
    }
    write_packed(folder, NAME, np.concatenate(signals), **(members | changes))
    return signals


def test_packed_recordings(tmp_path):
    layout = get_layout("cinc2017/flac")
    signals = write(tmp_path, [1400, 4500, 9000, 2700, 2700])
    refs = layout.find(tmp_path)
    assert [ref.subject_id for ref in refs] == ["A00001", "A00002", "A00003", "A00004", "A00004"]
    for row, (ref, signal) in enumerate(zip(refs, signals, strict=True)):
        recording = layout.read(tmp_path, ref)
        np.testing.assert_allclose(recording.signal, signal[None] / 1000, rtol=1e-6)
        assert recording.signal.dtype == np.float32
        assert (recording.channels, recording.units) == (("I",), ("mV",))
        assert recording.sampling_rate_hz == 150
        assert layout.tasks[0].classes[recording.labels["rhythm"].argmax()] == CLASSES[row % 4]
        assert recording.conversions == ((COPY,) if row > 2 else ())
    assert "150 Hz" in layout.filters
    assert get_layout("cinc2017").variant == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": np.array([1400, 1400, 1300])}, r"has 4,200 values; .* describes 4,100"),
        ({"length": np.array([2800, 1400, 0])}, r"lengths from 0"),
        ({"label": np.array(["N", "X", "A"])}, r"has the labels X"),
        ({"rec": np.array(["A00001"] * 3)}, r"record id 'A00001' occurs twice"),
        ({"signal_group": np.array([1])}, r"differ in their number of rows"),
    ],
)
def test_hostile_packed_files(tmp_path, changes, message):
    write(tmp_path, [1400] * 3, **changes)
    with pytest.raises(DataError, match=message):
        get_layout("cinc2017/flac").find(tmp_path)


def test_another_file_than_the_one_described(tmp_path):
    layout = get_layout("cinc2017/flac")
    write(tmp_path, [1400] * 3)
    refs = layout.find(tmp_path)
    write(tmp_path, [1400] * 2)
    with pytest.raises(UnreadableError, match=r"has 2,800 values; 4,200 are needed"):
        layout.read(tmp_path, refs[2])


def test_a_debug_run_learns_rhythms(tmp_path):
    write(tmp_path / "raw", [1400] * 48)
    report = prepare("cinc2017/flac", tmp_path / "raw", tmp_path / "data")
    assert report.num_subjects == 47
    assert report.to_json()["conversions"] == {COPY: 2}
    evaluation = debug_run("cinc2017/flac", tmp_path / "data", tmp_path / "run")
    assert "test" in evaluation["evaluations"]


def test_the_packed_set_as_collected(shared):
    source = shared / "data" / "cinc2017"
    if not source.is_dir():
        pytest.skip(f"needs {source}")
    layout = get_layout("cinc2017/flac")
    refs = layout.find(source)
    assert len(refs) == 4216
    names = {name: sum(ref.details["rhythm"] == name for ref in refs) for name in CLASSES}
    assert names == {"normal": 2210, "af": 690, "other": 1072, "noisy": 244}
    spread = [np.std(layout.read(source, ref).signal) for ref in refs[::500]]
    assert 0.03 < np.median(spread) < 1  # mV
