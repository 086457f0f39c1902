"""Decoding and checking the values of pickles."""

import codecs
import warnings
from collections.abc import Callable
from typing import NamedTuple

from physio_mae_jax.errors import DataError

MAX_DEPTH = 50
_MAX_VALUES = 5_000_000
_SCALARS = (str, bytes, bool, int, float, type(None))


class PickleError(ValueError):
    """A pickle that is broken, or uses operations that data does not need."""


class UnknownNameError(DataError):
    """A pickle that uses an unknown name, such as that of a function to be called."""

    def __init__(self, name: str) -> None:
        super().__init__(f"names {name}, which is not allowed; no code of the file was executed")


class Function(NamedTuple):
    """Replacement of a named function in a pickle.

    Attributes:
        name: Name as given in the pickle.
        call: Function that receives the arguments of the pickle.
    """

    name: str
    call: Callable[..., object]


class PickledObject:
    """Base class of replacement objects, which may accept a state and have a result."""

    def build(self, state: object) -> None:
        """Set the state from the pickle."""
        raise PickleError(f"it sets the state of {type(self).__name__}, which has no state")

    def result(self) -> object:
        """Return the value that replaces this object in the content."""
        raise PickleError(f"it contains {type(self).__name__}, which is not data")


def hashable_key(key: object) -> object:
    """Return a key if it is a text, a number, or a flat tuple of these; raise otherwise."""
    parts = key if type(key) is tuple else (key,)
    for part in parts:
        if type(part) not in _SCALARS:
            raise PickleError(
                f"a key is or contains {type(part).__name__}; it must be text or a number"
            )
    return key


def copy_tree(value: object, size: int) -> object:
    """Copy nested containers into a tree of bounded size.

    A pickle of a few bytes may contain nested lists that each reference the next one twice.

    Args:
        value: Content of the pickle.
        size: Size of the pickle in bytes, which bounds the number of values.

    Raises:
        PickleError: there are too many values, or they are nested too deep.
    """
    return _copy(value, _Budget(min(_MAX_VALUES, 20 * size + 100_000)), 0)


class _Budget:
    """Remaining number of values in a tree."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise PickleError("shared references expand to too many values")


def _copy(value: object, budget: _Budget, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise PickleError(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        budget.spend(len(value))
        return {key: _copy(part, budget, depth + 1) for key, part in value.items()}
    if type(value) is list or type(value) is tuple:
        budget.spend(len(value))
        return type(value)(_copy(part, budget, depth + 1) for part in value)
    if type(value) is Function:
        raise PickleError(f"it contains {value.name}, which is not data")
    return value.result() if isinstance(value, PickledObject) else value


def parse_integer(line: bytes) -> int | bool:
    if line in (b"00", b"01"):
        return line == b"01"
    return int(line.removesuffix(b"L"))


def decode_escaped(line: bytes) -> str:
    """Decode a text of Python 2, with each byte unchanged."""
    quote = line[:1]
    if len(line) < 2 or quote not in (b"'", b'"') or line[-1:] != quote:
        raise PickleError("a text is not in quotes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return codecs.escape_decode(line[1:-1])[0].decode("latin1")


def decode_latin1(content: bytes) -> str:
    return content.decode("latin1")


def decode_utf8(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def decode_raw_unicode(line: bytes) -> str:
    return line.decode("raw-unicode-escape")
