"""Reading arrays from untrusted pickles, without executing anything in them.

A pickle may call any function by name, so this reader accepts a few names and rejects all others.
NumPy's own functions are not used: a dtype accepts flags from the pickle that would interpret bytes
of the file as object addresses. The replacements here create numeric arrays only.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.pickle_reader import PickleReader
from physio_mae_jax.data.pickle_values import PickledObject, PickleError, UnknownNameError
from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show

_EXPECTED = "a pickle of dictionaries, lists, texts, numbers and NumPy arrays of numbers"
_HINT = "download the file from the publisher of the data set."
# A broken pickle can raise almost any exception.
_ERRORS = (Exception,)
_NUMBER_TYPE = re.compile(r"[<>=|]?[biufc]\d{1,2}")


def read_pickled_arrays(path: Path) -> object:
    """Read a pickle, of Python 2 or 3 and any protocol, of containers, text, numbers and arrays.

    Returns:
        A tree; shared containers are duplicated, arrays are not.

    Raises:
        DataError: the pickle names anything else, such as a function to be called.
        UnreadableError: the file cannot be read, is truncated or is not a pickle.
    """
    try:
        file = open_regular(path, _HINT)
    except DataError as error:
        raise UnreadableError(str(error)) from error
    with name_file_in_errors(path, _EXPECTED, _ERRORS), file:
        try:
            return PickleReader(file, os.fstat(file.fileno()).st_size, _allowed_names()).read()
        except UnknownNameError as error:
            raise DataError(f"{path} {error}. Expected {_EXPECTED}: {_HINT}") from error


class _Dtype(PickledObject):
    """Replacement of ``numpy.dtype``, for numeric types only."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _NUMBER_TYPE.fullmatch(code):
            raise PickleError(f"arrays of type {show(code)} are not read; numbers are expected")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take (version, byte order, ...); the rest is irrelevant for numbers."""
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise PickleError(f"byte order {show(order)} is not known")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(PickledObject):
    """Replacement of ``numpy.ndarray``."""

    def __init__(self, arrays: "_Arrays") -> None:
        self._arrays = arrays
        self._array: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Take (version, shape, dtype, column-major?, bytes); old pickles have no version."""
        shape, dtype, columns_first, data = state[-4:]
        self._array = self._arrays.from_bytes(data, dtype, shape, "F" if columns_first else "C")

    def result(self) -> np.ndarray:
        """Return the array."""
        if self._array is None:
            raise PickleError("it has an array without content")
        return self._array


class _Arrays:
    """Constructors of the arrays of one pickle."""

    def __init__(self) -> None:
        # Id of a text of a Python 2 pickle -> (text, bytes); many arrays may share one text.
        # Keeping the text keeps its id unique.
        self._encoded: dict[int, tuple[str, bytes]] = {}

    def from_bytes(
        self, data: object, dtype: object, shape: object, order: object, *_: object
    ) -> np.ndarray:
        """Replace ``numpy.core.numeric._frombuffer``."""
        if not isinstance(dtype, _Dtype):
            raise PickleError("an array without a type")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise PickleError(f"an array of shape {show(shape)}")
        raw = self.encode(data, "latin1") if isinstance(data, str) else data
        if not isinstance(raw, bytes) or len(raw) != math.prod(shape) * dtype.dtype.itemsize:
            raise PickleError(f"an array of shape {show(shape)} with bytes for another")
        return np.frombuffer(raw, dtype.dtype).reshape(shape, order="F" if order == "F" else "C")

    def encode(self, text: object, encoding: object) -> bytes:
        """Replace ``_codecs.encode``, which Python 3 uses to write bytes for Python 2."""
        if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise PickleError(f"bytes encoded as {show(encoding)}; latin1 is expected")
        if id(text) not in self._encoded:
            self._encoded[id(text)] = (text, text.encode("latin1"))
        return self._encoded[id(text)][1]

    def scalar(self, dtype: object, data: object) -> object:
        """Replace ``numpy.core.multiarray.scalar``."""
        return self.from_bytes(data, dtype, (1,), "C")[0]

    def new(self, *_: object) -> _Array:
        """Replace ``numpy.core.multiarray._reconstruct``."""
        return _Array(self)


def _empty_bytes() -> bytes:
    """Replace ``bytes``, which Python 3 writes for empty bytes in Python 2 pickles."""
    return b""


def _reject_ndarray_call(*_: object) -> object:
    raise PickleError("it calls numpy.ndarray itself")


def _allowed_names() -> Mapping[tuple[str, str], Callable[..., object] | PickledObject]:
    """Return the replacement for each allowed (module, name) of one pickle."""
    arrays = _Arrays()
    return {
        ("numpy", "dtype"): _Dtype,
        ("numpy", "ndarray"): _reject_ndarray_call,  # an argument of array constructors
        ("_codecs", "encode"): arrays.encode,
        ("__builtin__", "bytes"): _empty_bytes,
        **{
            (f"numpy.{core}.{module}", name): replacement
            for core in ("core", "_core")
            for module, name, replacement in (
                ("multiarray", "_reconstruct", arrays.new),
                ("multiarray", "scalar", arrays.scalar),
                ("numeric", "_frombuffer", arrays.from_bytes),
            )
        },
    }
