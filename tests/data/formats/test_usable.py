"""What a folder does with files that cannot be used, in training and in preparation."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.folder import open_own_folder
from physio_mae_jax.prepare import main as prepare
from tests.data.formats.edf_files import channel, clock, edf_bytes

RATE_HZ = 50


def good(**fields: Any) -> bytes:
    return edf_bytes([channel(RATE_HZ, label="II", **fields), channel(RATE_HZ, label="RESP")])


def write_good(folder: Path, count: int = 3) -> None:
    for i in range(count):
        (folder / f"g{i}.edf").write_bytes(good())


def write_record(folder: Path, name: str, **header: str) -> None:
    (folder / f"{name}.hea").write_text(
        f"{name} 1 {RATE_HZ} 1000\n{name}.dat 16 200/mV 16 0 0 0 0 II\n"
    )
    (folder / f"{name}.dat").write_bytes(np.arange(1000, dtype="<i2").tobytes())


def write_unusable(folder: Path) -> tuple[str, ...]:
    """Write a file of each kind that cannot be used; return their names."""
    files = {
        "gap.edf": edf_bytes(
            [channel(RATE_HZ, label="II"), clock([*map(str, range(19)), "30"])], reserved=b"EDF+D"
        ),
        "twice.edf": edf_bytes([channel(RATE_HZ, label="II"), channel(RATE_HZ, label="ii")]),
        "unnamed.edf": edf_bytes([channel(RATE_HZ, label="II"), channel(RATE_HZ, label="")]),
        "slow.edf": edf_bytes([channel(RATE_HZ, label="II")], seconds="1000"),
        "zero.edf": edf_bytes([channel(RATE_HZ, label="II")], seconds="0"),
        "flat.edf": edf_bytes([channel(RATE_HZ, label="II", physical=("1", "1"))]),
        "cut.edf": good()[:-5],
        "segments.hea": b"segments/2 1 50 100\nabsent_1 50\nabsent_2 50\n",
        "broken.hea": b"broken 1 x 1000\nbroken.dat 16\n",
        "text.csv": b"time,II\n0,a\n",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    np.savez(folder / "fast.npz", X=np.zeros((1, 100)), channels=["II"], fs=1e302)
    np.savez(folder / "objects.npz", X=np.array([{}]), channels=["II"], fs=100)
    np.save(folder / "mute.npy", np.zeros((2, 100)))
    return (*files, "fast.npz", "objects.npz", "mute.npy")


def test_every_unusable_file_is_excluded_and_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_good(tmp_path)
    names = write_unusable(tmp_path)
    source = open_folder(tmp_path, skip_unreadable=True)
    assert [info.record_id for info in source.recordings] == ["g0", "g1", "g2"]
    (warning,) = [r for r in caplog.records if "Skipped" in r.getMessage()]
    assert warning.levelno == logging.WARNING
    assert f"{len(names)} of {len(names) + 3} files" in warning.getMessage()
    for name in names:
        assert str(tmp_path / name) in warning.getMessage()


def test_without_skip_all_are_named_at_once(tmp_path: Path) -> None:
    write_good(tmp_path)
    names = write_unusable(tmp_path)
    for described in (False, True):
        with pytest.raises(DataError) as error:
            open_folder(tmp_path)
        for name in names:
            assert (described and name == "mute.npy") or name in str(error.value), name
        (tmp_path / "mute.npy").unlink(missing_ok=True)


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    names = write_unusable(tmp_path)
    (tmp_path / "mute.npy").unlink()
    with pytest.raises(DataError, match=f"{len(names) - 1} of {len(names) - 1} files cannot"):
        open_folder(tmp_path, skip_unreadable=True)


@pytest.mark.parametrize("wanted", ["II", "ecg_only", "12_lead"])
def test_what_is_wanted_decides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wanted: str
) -> None:
    write_good(tmp_path)
    broken = [channel(RATE_HZ, label="II"), channel(RATE_HZ, label="PPG", physical=("1", "1"))]
    (tmp_path / "x.edf").write_bytes(edf_bytes(broken))
    with pytest.raises(DataError, match="'PPG' maps samples"):
        open_folder(tmp_path)
    with pytest.raises(DataError, match="'PPG' maps samples"):
        open_folder(tmp_path, channels="ppg_only")
    assert len(open_folder(tmp_path, skip_unreadable=True).recordings) == 3
    caplog.clear()
    source = open_folder(tmp_path, channels=wanted)
    assert source.recordings[3].channel_names == ("II",)
    assert "x.edf: channel 'PPG' maps samples" in caplog.text


def test_a_signal_file_that_nobody_wants_may_be_missing(tmp_path: Path) -> None:
    write_record(tmp_path, "r")
    (tmp_path / "r.hea").write_text(
        "r 2 50 1000\nr.dat 16 200/mV 16 0 0 0 0 II\ns.dat 16 200/mV 16 0 0 0 0 PPG\n"
    )
    with pytest.raises(DataError, match=r"names the signal file 's\.dat'"):
        open_folder(tmp_path)
    assert open_folder(tmp_path, channels="II").recordings[0].channel_names == ("II",)


def write_segments(folder: Path) -> None:
    """Write a record of two segments, as MIMIC has them."""
    write_record(folder, "a_1")
    write_record(folder, "a_2")
    (folder / "a_layout.hea").write_text("a_layout 1 50 0\n~ 0 200/mV 16 0 0 0 0 II\n")
    (folder / "a.hea").write_text("a/4 1 50 3000\na_layout 0\na_1 1000\n~ 1000\na_2 1000\n")


def test_segments_count_once_and_as_one_subject(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_segments(tmp_path)
    source = open_folder(tmp_path)
    assert [(i.record_id, i.subject_id) for i in source.recordings] == [("a_1", "a"), ("a_2", "a")]
    assert "skipped 2 headers without samples of their own (a.hea, a_layout.hea)" in caplog.text
    layout = open_own_folder("x", tmp_path)
    assert [(ref.record_id, ref.subject_id) for ref in layout.found] == [("a_1", "a"), ("a_2", "a")]
    (tmp_path / "b.hea").write_text("b/1 1 50 1000\nb 1000\n")
    with pytest.raises(DataError, match=r"b\.hea joins 1 segments \(b\)"):
        open_folder(tmp_path)
    (tmp_path / "b.hea").unlink()
    for name in ("a_2.hea", "a_2.dat"):
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"a\.hea joins 4 segments \(a_layout, a_1, a_2\)"):
        open_folder(tmp_path)


def test_preparation_leaves_out_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "raw"
    source.mkdir()
    write_good(source)
    names = write_unusable(source)
    flags = ["folder", "--name=x", f"--source={source}", f"--out={tmp_path / 'o'}", "--workers=1"]
    (source / "mute.npy").rename(tmp_path / "mute.npy")
    assert prepare(flags) == 2
    said = capsys.readouterr().err
    assert all(Path(name).stem in said for name in names if name != "mute.npy")
    (tmp_path / "mute.npy").rename(source / "mute.npy")
    assert prepare([*flags, "--on_invalid=skip"]) == 0
    assert f"3 of {len(names) + 3} recordings kept" in capsys.readouterr().out
    (warning,) = [r.getMessage() for r in caplog.records if "skipped" in r.getMessage()]
    assert all(Path(name).stem in warning for name in names)


def test_preparation_of_several_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "raw"
    source.mkdir()
    parts = [channel(RATE_HZ, label="II"), channel(5, label="RESP")]
    (source / "r.edf").write_bytes(edf_bytes(parts))
    layout = open_own_folder("x", source)
    (ref,) = layout.found
    recording = layout.read(source, ref)
    opened = open_folder(source)
    np.testing.assert_array_equal(recording.signal, opened.read(0, 0, 1000))
    assert recording.conversions == ("RESP: 5 to 50 Hz by linear interpolation",)
    assert "RESP from 5 to 50 Hz (r.edf)" in caplog.text


def test_a_small_file_does_not_become_a_huge_one(tmp_path: Path) -> None:
    parts = [channel(50_000, 2, label="II")]
    parts += [channel(1, 2, label=f"c{i}") for i in range(999)]
    (tmp_path / "r.edf").write_bytes(edf_bytes(parts))
    with pytest.raises(DataError, match="would have 980 times the samples of the file"):
        open_folder(tmp_path)
    assert open_folder(tmp_path, channels="II").recordings[0].sampling_rate_hz == 50_000


def test_a_pipe_in_place_of_a_file_is_named(tmp_path: Path, caplog: Any) -> None:
    os.mkfifo(tmp_path / "p.npz")
    with pytest.raises(DataError, match=r"p\.npz is a broken link, a pipe or a device, where a"):
        open_folder(tmp_path)
    np.savez(tmp_path / "a.npz", X=np.ones((1, 100)), channels=["II"], fs=100)
    assert len(open_folder(tmp_path).recordings) == 1
    assert "Skipped" in caplog.text
