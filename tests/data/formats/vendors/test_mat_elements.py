"""Elements of MATLAB files that are broken or expand."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy import io

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import read_all

X = np.random.default_rng(7).normal(size=(2, 1500))
NAMES = np.array(["II", "PPG"], dtype=object)


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
