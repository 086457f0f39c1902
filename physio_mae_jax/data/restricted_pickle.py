"""Reading arrays from pickles that may come from anyone, and running nothing they hold.

A pickle may name any function to be called, so the reader here knows a handful of names and refuses
every other one. NumPy's own are not among them: its dtype takes flags from the pickle, with which
bytes of the file pass for addresses of objects. What stands for them here makes plain arrays of
numbers and nothing else.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from physio_mae_jax.data.formats.layout import UnreadableError, naming
from physio_mae_jax.errors import DataError

_EXPECTED = "a pickle of dictionaries, lists, texts, numbers and NumPy arrays of numbers"
# A broken pickle can raise nearly anything.
_ERRORS = (Exception,)
_NUMBERS = "biufc"


class RestrictedUnpickler(pickle.Unpickler):
    """Builds containers, numbers, text and what it is told to know; other names are errors.

    Args:
        file: the pickle.
        path: what the file is called in an error.
        known: what stands for each (module, name).
        advice: the way out, a sentence.
    """

    def __init__(
        self,
        file: IO[bytes],
        path: Path,
        known: Mapping[tuple[str, str], Any],
        advice: str,
    ) -> None:
        # Pickles of Python 2 hold the bytes of arrays as text; latin-1 keeps each as it is.
        super().__init__(file, encoding="latin1")
        self._path = path
        self._known = known
        self._advice = advice

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name of the pickle."""
        if (module, name) not in self._known:
            raise DataError(
                f"{self._path} names {module}.{name}, which is not known here; nothing of the file "
                f"was run. {self._advice}"
            )
        return self._known[module, name]


def read_pickled_arrays(path: Path) -> Any:
    """Read a pickle, of Python 2 or 3 and any protocol, of containers, text, numbers and arrays.

    Raises:
        DataError: the pickle names anything else, such as a function to be called.
        UnreadableError: the file cannot be read, is cut short or is no pickle.
    """
    with naming(path, _EXPECTED, _ERRORS), path.open("rb") as file:
        content = RestrictedUnpickler(
            file,
            path,
            _KNOWN,
            f"Expected {_EXPECTED}: take the file from where the data set is published.",
        ).load()
        return _without_stand_ins(content, {})


class _Dtype:
    """Stands for ``numpy.dtype``, of numbers only."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.kind not in _NUMBERS:
            raise UnreadableError(f"arrays of type {code!r} are not read; numbers are expected")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, ...): all else says nothing of numbers.
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for ``numpy.ndarray``."""

    array: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, shape, dtype, columns first?, bytes); old ones have no version.
        shape, dtype, columns_first, data = state[-4:]
        self.array = _from_bytes(data, dtype, shape, "F" if columns_first else "C")


def _from_bytes(
    data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str, *_: Any
) -> np.ndarray:
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype.dtype).reshape(shape, order="F" if order == "F" else "C")


def _new_array(*_: Any) -> _Array:
    return _Array()


def _scalar(dtype: _Dtype, data: Any) -> Any:
    return _from_bytes(data, dtype, (1,), "C")[0]


def _encode(text: str, encoding: str) -> bytes:
    """Stand for ``_codecs.encode``, by which Python 3 writes bytes for Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise UnreadableError(f"bytes encoded as {encoding!r}; latin1 is expected")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stand for ``bytes``, which Python 3 names for Python 2 where there are none."""
    return b""


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _new_array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_bytes),
        )
    },
}


def _without_stand_ins(value: Any, done: dict[int, Any]) -> Any:
    """Put arrays in the place of what stood for them, in nested containers.

    Args:
        value: what was read.
        done: results by id, since a small pickle may refer to one container very many times.
    """
    if id(value) in done:
        return done[id(value)]
    result: Any = value
    if isinstance(value, _Array):
        result = value.array
    elif isinstance(value, dict):
        result = {key: _without_stand_ins(part, done) for key, part in value.items()}
    elif isinstance(value, list | tuple):
        result = type(value)(_without_stand_ins(part, done) for part in value)
    done[id(value)] = result
    return result
