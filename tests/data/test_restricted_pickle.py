"""Pickles of strangers make data or are rejected at once, and never more than they are large."""

import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physio_mae_jax.data.restricted_pickle import read_pickled_arrays
from physio_mae_jax.errors import DataError
from physio_mae_jax.interop.torch.checkpoint_file import read_state_dict

DEEP = b"K\x01" + b"\x85" * 200
DOUBLED = b"K\x01" + b"2\x86" * 200  # (x, x) of (x, x) of …: 2 ** 200 values
CODEC = b"c_codecs\nencode\n"
BOMBS = {
    "nested tuple as a key": b"}" + DOUBLED + b"K\x01s",
    "nested tuple in a set": b"\x8f(" + DOUBLED + b"\x90",
    "nested tuple in a frozen set": b"(" + DOUBLED + b"\x91",
    "list of nested pairs": b"]K\x01" + b"(2la" * 50,
    "doubled tuples": DOUBLED,
    "doubled lists": b"]q\x00" + b"".join(
        b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(100)
    ),
    "deep tuples": DEEP,
    "deep lists": b"]" * 5000 + b"a" * 4999,
    "a list in itself": b"]q\x00h\x00a",
    "a dictionary in itself": b"}q\x00K\x01h\x00s",
    "message of an encoding": CODEC + b"X\x01\x00\x00\x00a" + DOUBLED + b"\x86R",
    "message of a type": b"cnumpy\ndtype\n" + DOUBLED + b"\x85R",
    "large memo index": b"K\x01r\xff\xff\xff\x7f",
    "larger memo index on a line": b"K\x01p99999999999999999999\n",
    "negative memo index": b"K\x01p-1\n",
    "text longer than the file": b"\x8d" + struct.pack("<Q", 2**62),
    "bytes longer than the file": b"\x8e" + struct.pack("<Q", 2**40),
    "text of a negative length": b"T" + struct.pack("<i", -5),
    "frame longer than the file": b"\x95" + struct.pack("<Q", 2**63) + b"K\x01",
    "integer of a gigabyte": b"\x8b" + struct.pack("<i", 2**30),
    "integer of 100,000 digits": b"I" + b"9" * 100_000 + b"\n",
    "million lists": b"(" + b"]" * 1_500_000 + b"t",
    "marks alone": b"(" * 100_000,
    "text without an end": b"S'" + b"a" * 100_000,
    "one text encoded very often": b"X\x10\x27\x00\x00" + b"a" * 10_000 + b"q\x000("
    + (CODEC + b"h\x00U\x06latin1\x86R") * 20_000 + b"t",
}  # fmt: skip
# What does no harm may as well be read.
HARMLESS = {"frame longer than the file", "larger memo index on a line", "large memo index",
            "negative memo index", "marks alone", "one text encoded very often"}  # fmt: skip


def as_pickle(folder: Path, content: bytes) -> None:
    (folder / "a.pkl").write_bytes(b"\x80\x02" + content + b".")
    read_pickled_arrays(folder / "a.pkl")


def as_weights(folder: Path, content: bytes) -> None:
    with zipfile.ZipFile(folder / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + content + b".")
    read_state_dict(folder / "a.pth")


@pytest.mark.parametrize("read", [as_pickle, as_weights])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_rejected_at_once(name, read, tmp_path):
    tracemalloc.start()
    start = time.perf_counter()
    message = rejection(lambda: read(tmp_path, BOMBS[name]))
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (str(tmp_path) in message) or (name in HARMLESS and not message)
    assert len(message) < 1_500
    assert seconds < 20  # of a slow machine; what is not rejected takes for ever
    assert peak < 300e6


def rejection(action: Callable[[], None]) -> str:
    try:
        action()
    except DataError as error:
        return str(error)
    return ""


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_a_pickle_is_read_or_rejected_by_name(tmp_path_factory, data):
    valid = pickle.dumps({"a": np.arange(5.0), "b": [np.float32(1), "x", (1, 2)]}, 2)
    changed = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(valid) - 1))
        changed[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.pkl"
    path.write_bytes(changed)
    message = rejection(lambda: read_pickled_arrays(path))
    assert not message or "changed.pkl" in message


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((1, (-1,), "f8", False, bytes(16)), r"shape \(-1,\)"),
        ((1, (3,), "f8", False, bytes(16)), "with bytes for another"),
        ((1, (2.0,), "f8", False, bytes(16)), r"shape \(2\.0,\)"),
        ((1, (2,), "V8", False, bytes(16)), "'V8' are not read"),
        ((1, (2,), "(9999999,)f8", False, bytes(16)), "are not read"),
        ((1, (2,), "f8", False, [1, 2]), "with bytes for another"),
    ],
)
def test_arrays_that_cannot_be_are_rejected(state, message, tmp_path):
    version, shape, code, order, data = state

    class Made:
        def __init__(self, *reduced):
            self.reduced = reduced

        def __reduce__(self):
            return self.reduced

    dtype = Made(np.dtype, (code, False, True), (3, "<", None, None, None, -1, -1, 0))
    new = np.zeros(0).__reduce__()
    array = Made(new[0], new[1], (version, shape, dtype, order, data))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(array))
    with pytest.raises(DataError, match=rf"a\.pkl cannot be read .*{message}"):
        read_pickled_arrays(tmp_path / "a.pkl")


def test_a_pipe_is_no_pickle(tmp_path):
    os.mkfifo(tmp_path / "a.pkl")
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"a\.pkl is a pipe"):
        read_pickled_arrays(tmp_path / "a.pkl")
    with pytest.raises(DataError, match=r"a\.pth is a pipe"):
        read_state_dict(tmp_path / "a.pth")
