"""MATLAB files of version 7.3, written by h5py, against the arrays written."""

import sys
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

X = np.random.default_rng(7).normal(size=(2, 1500))


def write_v73(path: Path, content: dict, **settings) -> None:
    """Write a file as MATLAB does: HDF5 behind 512 bytes, axes reversed, texts as codes."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            if isinstance(value, str):
                codes = np.array([[ord(letter)] for letter in value], np.uint16)
                item = file.create_dataset(name, data=codes)
                item.attrs["MATLAB_class"] = np.bytes_("char")
            elif isinstance(value, list):
                cells = []
                for number, text in enumerate(value):
                    codes = np.array([[ord(letter)] for letter in text], np.uint16)
                    cells.append(file.create_dataset(f"#refs#/{name}{number}", data=codes).ref)
                item = file.create_dataset(name, (len(cells), 1), dtype=h5py.ref_dtype)
                item[:, 0] = cells
                item.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                item = file.create_dataset(name, data=np.atleast_2d(value).T, **settings)
                item.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + b" " * 8 + b"\0\2IM")


def test_version_73(tmp_path: Path) -> None:
    content = {"X": X, "channels": ["II", "PPG"], "fs": 125.0, "units": "mV"}
    write_v73(tmp_path / "a.mat", content, chunks=True, compression="gzip")
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.sampling_rate_hz) == (("II", "PPG"), 125)
    assert info.units == ("mV", "mV")
    np.testing.assert_allclose(read_all(source), X, rtol=1e-6)
    data = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"a\.mat cannot be read"):
        open_folder(tmp_path)


def test_links_of_version_73_to_other_files_are_not_followed(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "other").mkdir()
    write_v73(tmp_path / "other" / "b.mat", {"X": X})
    write_v73(tmp_path / "a.mat", {"fs": 125.0})
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        file["X"] = h5py.ExternalLink("other/b.mat", "/X")
        file["Y"] = h5py.SoftLink("/fs")
        file.create_dataset("Z", (1000, 1), "f8", external=[("/etc/passwd", 0, 8000)])
    with pytest.raises(DataError, match="no array of numbers"):
        open_folder(tmp_path)


def test_expanding_arrays_of_version_73(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    many = np.zeros((1, 2**26), np.float64)
    write_v73(tmp_path / "a.mat", {"X": many}, chunks=(2**20, 1), compression="gzip")
    with pytest.raises(DataError, match=r"a\.mat, variable 'X' unpacks from"):
        open_folder(tmp_path)


def test_version_73_without_h5py(tmp_path: Path, monkeypatch) -> None:
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"
    (tmp_path / "a.mat").write_bytes(head.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"pip install \"physio_mae_jax\[mat73\]\""):
        open_folder(tmp_path)
