"""Headers of WFDB as they are found in the wild are read; others are named, within bounds."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.wfdb_header import read_header
from physio_mae_jax.errors import DataError
from tests.folders import whole

SIGNAL = "r.dat 16 200/mV 16 0 0 0 0 II"
SAMPLES = np.arange(100, dtype="<i2")


def write(folder: Path, text: str | bytes, name: str = "r") -> None:
    """Write a header, and a signal file of 100 samples."""
    data = text if isinstance(text, bytes) else text.encode()
    (folder / f"{name}.hea").write_bytes(data)
    (folder / "r.dat").write_bytes(SAMPLES.tobytes())


@pytest.mark.parametrize(
    "text",
    [
        f"r 1 250 100\n{SIGNAL}",
        f"\ufeffr 1 250 100\r\n{SIGNAL}\r\n",
        f"r 1 250 100\r{SIGNAL}\r# comment\r",
        f"# first\n\n  r 1 250 100  \n#second\n  {SIGNAL}  ",
        f"r 1 250/1000(0.5) 100\n{SIGNAL}",
        f"r 1 2.5e2 100 10:00:00 2006\n{SIGNAL}",
        f"r 1 250 100 05-May-2020 09:49:17\n{SIGNAL}",
        f"r 1 250 100 [10:00] 1/1/199\n{SIGNAL}",
        f"r 1 250 23:59\n{SIGNAL}",
        f"folder/00001_r 1 250 100\nfolder/{SIGNAL}",
        f"folder/r 1 250 100\n./{SIGNAL}",
        f"naïve_name.v2 1 250 100\n{SIGNAL}",
        f"r 1 250 100\n{SIGNAL.replace('r.dat', 'R.DAT')}",
        "r 1 250 100\nr.dat 16 200/mV II",
        "r 1 250 100\nr.dat 16 200(0)/mV 16 0 0 0 0 II\nr.dat 16 200/mV 16 0 0 0 0 more",
    ],
)
def test_headers_in_use_are_read(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    source = open_folder(tmp_path)
    assert source.recordings[0].channel_names == ("II",)
    assert source.recordings[0].sampling_rate_hz == 250
    np.testing.assert_array_equal(whole(source)[0], (SAMPLES / 200).astype(np.float32))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_headers_are_decoded(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, "r 1 250 100\nr.dat 16 1/µV 16 0 0 0 0 Fläche".encode(encoding))
    header = read_header(tmp_path / "r.hea")
    assert (header.channels, header.units) == (("Fläche",), ("µV",))


def test_names_of_any_case(tmp_path: Path) -> None:
    write(tmp_path, f"R 1 250 100\n{SIGNAL}")
    (tmp_path / "r.hea").rename(tmp_path / "R.HEA")
    (tmp_path / "r.dat").rename(tmp_path / "R.Dat")
    source = open_folder(tmp_path)
    assert source.recordings[0].record_id == "R"
    assert whole(source).shape == (1, 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"r 1 x 100\n{SIGNAL}", "the sampling rate is 'x', a number is expected"),
        (f"r 1 nan 100\n{SIGNAL}", "the sampling rate is 'nan'"),
        (f"r 1 inf 100\n{SIGNAL}", "the sampling rate is 'inf'"),
        (f"r 1 -1 100\n{SIGNAL}", "the sampling rate is '-1', a number above 0"),
        (f"r 1 0 100\n{SIGNAL}", "the sampling rate is '0', a number above 0"),
        (f"r 1 1e9 100\n{SIGNAL}", "sampling rate of 1e.09 Hz is not plausible"),
        (f"r 1 0.5 100\n{SIGNAL}", "sampling rate of 0.5 Hz of II is not plausible"),
        (f"r 1 250 -5\n{SIGNAL}", "the number of samples is -5"),
        (f"r 1 250 1e5\n{SIGNAL}", "the number of samples is '1e5'"),
        (f"r 1 250 {10**17}\n{SIGNAL}", "the number of samples is 1"),
        (f"r -1 250 100\n{SIGNAL}", "the number of signals is -1"),
        (f"r ١ 250 100\n{SIGNAL}", "the number of signals is '١'"),
        (f"r 5000 250 100\n{SIGNAL}", "5000 signals, 4096 at most"),
        (f"r 2 250 100\n{SIGNAL}", "announces 2 signals and describes 1"),
        ("r 1 250 100\nr.dat 16 nan/mV 16 0 0 0 0 II", "the gain of signal 0 is 'nan'"),
        ("r 1 250 100\nr.dat 16 1e999 16 0 0 0 0 II", "the gain of signal 0 is '1e999'"),
        ("r 1 250 100\nr.dat 16 200(9999999999)/mV 16 0 0 0 0 II", "the baseline of signal 0"),
        ("r 1 250 100\nr.dat 16 200(x)/mV 16 0 0 0 0 II", "the baseline of signal 0 is 'x'"),
        ("r 1 250 100\nr.dat 16x0 200/mV 16 0 0 0 0 II", "0 samples in a frame"),
        ("r 1 250 100\nr.dat 16:-1 200/mV 16 0 0 0 0 II", "has the format '16:-1'"),
        ("r 1 250 100\nr.dat 99 200/mV 16 0 0 0 0 II", "format 99, which is not supported"),
        ("r 1 250 100\nr.dat 16 200/mV 16 nan 0 0 0 II", "has 'nan' where its zero"),
        ("r 1 250 100\nr.dat 16 200/mV 16 0 0 x 0 II", "has 'x' where its checksum"),
        ("r 1 250 100\nr.dat 16+999999 200/mV 16 0 0 0 0 II", "is truncated"),
        ("r 1 250 100\n/etc/passwd 16 200/mV 16 0 0 0 0 II", "'/etc/passwd', which is not in"),
        ("r 1 250 100\n../../x 16 200/mV 16 0 0 0 0 II", "'../../x', which is not in"),
        ("r/0 1 250 100", "0 segments"),
        ("r/3 1 250 100\na 50\nb 50", "announces 3 segments and lists 2"),
        ("r 0 250 100", "names no signals"),
        ("r 200000 250 100\n" + "r.dat 16\n" * 200_000, "more than 1048576 bytes"),
        (f"r 1 250 100\nr.dat 16 {'1' * 900_000}", "the gain of signal 0 is '1111"),
        (f"r 1 250 100\nr.dat 16 200/mV 16 0 0 0 0 {'a ' * 50_000}", "of 99999 letters"),
        ("", "does not give a name and a number of signals"),
        (bytes(range(256)), "cannot be read"),
    ],
)
def test_broken_headers_are_named_in_no_time(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    write(tmp_path, text)
    begun = time.process_time()
    with pytest.raises(DataError, match=f"(?s)r\\.(hea|dat).*{message}") as error:
        open_folder(tmp_path)
    assert time.process_time() - begun < 2
    assert len(str(error.value)) < 1500


def test_what_is_no_ordinary_file(tmp_path: Path) -> None:
    write(tmp_path, f"r 1 250 100\n{SIGNAL}")
    (tmp_path / "r.dat").unlink()
    for make in (
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(tmp_path / "absent"),
    ):
        make(tmp_path / "r.dat")
        with pytest.raises(DataError, match=r"r\.dat, the signal file of r\.hea, is a"):
            open_folder(tmp_path)
        (tmp_path / "r.dat").rmdir() if (tmp_path / "r.dat").is_dir() else (
            tmp_path / "r.dat"
        ).unlink()
    os.mkfifo(tmp_path / "p.hea")
    with pytest.raises(UnreadableError, match=r"p\.hea is missing or not a file"):
        read_header(tmp_path / "p.hea")


@pytest.mark.parametrize("linked", [("r.dat",), ("r.hea",), ("r.hea", "r.dat")])
def test_links_are_followed(tmp_path: Path, linked: tuple[str, ...]) -> None:
    store, folder = tmp_path / "store", tmp_path / "folder"
    store.mkdir()
    folder.mkdir()
    write(store, f"r 1 250 100\n{SIGNAL}")
    for name in ("r.hea", "r.dat"):
        if name in linked:
            (folder / name).symlink_to(store / name)
        elif name == "r.hea":
            (folder / name).write_bytes((store / name).read_bytes())
    source = open_folder(folder)
    assert whole(source).shape == (1, 100)
    assert source.version(0) == source.version(0)
