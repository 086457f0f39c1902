"""MATLAB files of version 5 to 7.3, written by scipy and h5py, against the arrays written."""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import wfdb
from scipy import io

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.data.formats.vendors.mat_v5 import read_struct_array
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

X = np.random.default_rng(7).normal(size=(2, 1500))
NAMES = np.array(["II", "PPG"], dtype=object)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"X": X, "channels": NAMES, "fs": 125.0}, X),
        ({"data": X.T, "labels": NAMES, "Fs": np.uint16(125)}, X),
        ({"signal": (X * 1000).astype("int16"), "leads": NAMES, "sampling_rate": 125}, X),
        ({"ecg": X.astype("float32"), "ch_names": ["II ", "PPG"], "srate": 125.0}, X),
        ({"rec7": X, "names": NAMES, "freq": 125.0, "units": "mV"}, X),
    ],
)
def test_files_that_describe_themselves(content, wanted, compressed, tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.sampling_rate_hz) == (("II", "PPG"), 125)
    assert info.units == ("mV" if "units" in content else "",) * 2
    scale = 1000 if "signal" in content else 1
    wanted = (wanted * scale).astype("int16") if scale > 1 else wanted
    np.testing.assert_allclose(read_all(source), wanted.astype(np.float32), rtol=1e-6)


def test_a_manifest_states_the_rest(tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", {"a": X[0], "b": X, "note": "text", "n": 3.0})
    entry = {"file": "a.mat", "array": "?", "sampling_rate_hz": "?", "channels": ["?"]}
    assert draft_manifest(tmp_path) == {"recordings": [entry]}
    entry = {"file": "a.mat", "array": "b", "sampling_rate_hz": 100, "channels": ["I", "PPG"]}
    manifest = {"recordings": [entry | {"axes": ["channel", "sample"]}]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    np.testing.assert_allclose(read_all(open_folder(tmp_path)), X, rtol=1e-6)
    manifest["recordings"][0] |= {"array": "a", "channels": ["I"], "axes": ["sample"]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    np.testing.assert_allclose(read_all(open_folder(tmp_path)), X[:1], rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "array", "message"),
    [
        ({"EEG": {"data": X, "srate": 100}}, None, r"no array of numbers .*EEG \(struct 1x1\)"),
        ({"X": X}, "Y", "variable 'Y' of .* is absent"),
        ({"X": X, "s": "text"}, "s", "variable 's' of .* is text"),
        ({"X": X + 1j}, "X", "variable 'X' of .* is complex"),
        ({"fs": 100.0}, None, "no array of numbers"),
    ],
)
def test_files_without_a_signal(content, array, message: str, tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", content)
    entry = {"file": "a.mat", "sampling_rate_hz": 100, "channels": ["I", "II"]}
    entry |= {"array": array} if array else {}
    (tmp_path / "manifest.json").write_text(json.dumps({"recordings": [entry]}))
    with pytest.raises(DataError, match=message):
        read_all(open_folder(tmp_path))


def write_structs(path: Path, *, compressed: bool = True) -> list[dict]:
    """Write a struct array 'data' of two elements; return them."""
    written = [
        {"x": {"v": X.T, "fs": 125.0}, "id": "p1", "few": np.arange(3, dtype="int16"), "n": i}
        for i in range(2)
    ]
    elements = np.empty((1, 2), [(key, object) for key in written[0]])
    for element, content in zip(elements[0], written, strict=True):
        for key, value in content.items():
            element[key] = value
    io.savemat(path, {"data": elements, "X": X}, do_compression=compressed)
    return written


@pytest.mark.parametrize("compressed", [True, False])
def test_struct_arrays(compressed: bool, tmp_path: Path) -> None:
    written = write_structs(tmp_path / "a.mat", compressed=compressed)
    found = read_struct_array(tmp_path / "a.mat", "data")
    assert [list(element) for element in found] == [["x", "id", "few", "n"]] * 2
    for element, content in zip(found, written, strict=True):
        np.testing.assert_array_equal(element["x"][0]["v"], content["x"]["v"])
        np.testing.assert_array_equal(element["few"].ravel(), content["few"])
        assert (element["x"][0]["fs"].item(), element["n"].item()) == (125.0, content["n"])
        assert element["id"] == "p1"
    with pytest.raises(DataError, match=r"a\.mat cannot be read .it has no struct array 'X'"):
        read_struct_array(tmp_path / "a.mat", "X")


def test_damaged_struct_arrays_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    write_structs(path, compressed=False)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    errors = []
    for position in rng.integers(128, 900, 400).tolist():
        path.write_bytes(data[:position] + rng.bytes(1) + data[position + 1 :])
        try:
            read_struct_array(path, "data")
        except DataError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert all(str(path) in error for error in errors)


def test_structs_nested_too_deep(tmp_path: Path) -> None:
    nested: dict = {"a": 1.0}
    for _ in range(20):
        nested = {"a": nested}
    io.savemat(tmp_path / "a.mat", {"data": nested})
    with pytest.raises(DataError, match="nested more than 16 deep"):
        read_struct_array(tmp_path / "a.mat", "data")


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data


def packed_zeros(num_bytes: int, stated: int | None = None) -> bytes:
    """Pack a variable X of doubles, all 0, which may state another length."""
    stated = num_bytes if stated is None else stated
    flags = element(6, struct.pack("<II", 6, 0))
    head = flags + element(5, struct.pack("<ii", 1, stated // 8)) + struct.pack("<HH4s", 1, 1, b"X")
    head += struct.pack("<II", 9, stated)
    packer = zlib.compressobj()
    packed = packer.compress(struct.pack("<II", 14, len(head) + stated) + head)
    pieces = [packer.compress(bytes(min(2**20, num_bytes))) for _ in range(-(-num_bytes // 2**20))]
    return b"".join([packed, *pieces, packer.flush()])


def manifested(folder: Path) -> None:
    """State what the files of these tests lack."""
    entry = {"file": "a.mat", "array": "X", "sampling_rate_hz": 100, "channels": ["I"]}
    (folder / "manifest.json").write_text(json.dumps({"recordings": [entry]}))


def test_broken_and_expanding_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    io.savemat(path, {"X": X, "channels": NAMES, "fs": 125.0}, do_compression=True)
    data = path.read_bytes()
    manifested(tmp_path)
    for changed, message in (
        (data[:-60], "is cut short: the variable at byte"),
        (data[:131], "is cut short: the variable at byte 128 takes 0 bytes"),
        (data[:200] + b"\0\0\0\0" + data[204:], r"a\.mat cannot be read"),
        (data[:128] + element(15, packed_zeros(300 * 2**20)), "'X' unpacks from .* to 314,572"),
        (data[:128] + element(15, packed_zeros(2**16, stated=2**17)), "unpacks to 65"),
        (data[:128] + element(15, packed_zeros(2**17, stated=2**16)), "unpacks to 65"),
        (data[:128] + element(15, zlib.compress(b"\x0e\0\0\0" + b"\xff" * 60)), r"a\.mat"),
    ):
        path.write_bytes(changed)
        with pytest.raises(DataError, match=message) as error:
            read_all(open_folder(tmp_path))
        assert str(path) in str(error.value)


def test_a_text_of_another_shape_than_its_length(tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", {"X": X, "channels": ["II", "PP"], "fs": 125.0})
    path = tmp_path / "a.mat"
    assert open_folder(tmp_path).recordings[0].channel_names == ("II", "PP")
    data = path.read_bytes()
    at = data.index(struct.pack("<IIII", 5, 8, 2, 2), data.index(b"channels") - 40)
    path.write_bytes(data[:at] + struct.pack("<IIii", 5, 8, 2**31 - 1, 2) + data[at + 16 :])
    with pytest.raises(DataError, match=r"a\.mat cannot be read \(a text of 4 characters"):
        open_folder(tmp_path)


def test_samples_of_wfdb_headers_are_no_recordings(tmp_path: Path) -> None:
    wfdb.wrsamp("r", fs=100, units=["mV"], sig_name=["II"], p_signal=X[:1].T, fmt=["16"],
                write_dir=str(tmp_path))  # fmt: skip
    io.savemat(tmp_path / "r.mat", {"val": X})
    assert [info.channel_names for info in open_folder(tmp_path).recordings] == [("II",)]


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
