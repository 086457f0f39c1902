"""Values of pickles: texts and numbers decoded, keys checked, containers copied into a tree."""

import codecs
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from physio_mae_jax.errors import DataError

MAX_DEPTH = 50
_MAX_VALUES = 5_000_000
_SCALARS = (str, bytes, bool, int, float, type(None))


class PickleError(ValueError):
    """A pickle that is broken, or uses operations that data does not need."""


class UnknownNameError(DataError):
    """A pickle that uses an unknown name, such as that of a function to be called."""

    def __init__(self, name: str) -> None:
        super().__init__(f"names {name}, which is not allowed; nothing of the file was run")


class Function(NamedTuple):
    """Replacement of a named function in a pickle.

    Attributes:
        name: Name as given in the pickle.
        call: Function that receives the arguments of the pickle.
    """

    name: str
    call: Callable[..., Any]


class StandIn:
    """Base class of objects made by the caller's functions that take a state or have a result."""

    def build(self, state: Any) -> None:
        """Take a state from the pickle."""
        raise PickleError(f"it sets the state of {type(self).__name__}, which has none")

    def result(self) -> Any:
        """Return the value that replaces this object in the content."""
        raise PickleError(f"it holds {type(self).__name__}, which is not data")


def checked_key(key: Any) -> Any:
    """Return a key if it is cheap to hash: a text, a number, or a flat tuple of these."""
    parts = key if type(key) is tuple else (key,)
    for part in parts:
        if type(part) not in _SCALARS:
            raise PickleError(f"a key is or holds {type(part).__name__}; it must be text or number")
    return key


def tree(value: Any, size: int) -> Any:
    """Copy nested containers into a tree of bounded size.

    A pickle of a few bytes may hold nested lists that each contain the next one twice.

    Args:
        value: Content of the pickle.
        size: Size of the pickle in bytes, which bounds the number of values.

    Raises:
        PickleError: there are too many values, or they are nested too deep.
    """
    return _copied(value, _Budget(min(_MAX_VALUES, 20 * size + 100_000)), 0)


class _Budget:
    """Remaining number of values of a tree."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise PickleError("it repeats shared parts over and over")


def _copied(value: Any, budget: _Budget, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise PickleError(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        budget.spend(len(value))
        return {key: _copied(part, budget, depth + 1) for key, part in value.items()}
    if type(value) in (list, tuple):
        budget.spend(len(value))
        return type(value)(_copied(part, budget, depth + 1) for part in value)
    if type(value) is Function:
        raise PickleError(f"it holds {value.name}, which is not data")
    return value.result() if isinstance(value, StandIn) else value


def integer(line: bytes) -> int | bool:
    if line in (b"00", b"01"):
        return line == b"01"
    return int(line.removesuffix(b"L"))


def escaped_text(line: bytes) -> str:
    """Decode a text of Python 2, with each byte unchanged."""
    quote = line[:1]
    if len(line) < 2 or quote not in (b"'", b'"') or line[-1:] != quote:
        raise PickleError("a text is not in quotes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return cast(Any, codecs).escape_decode(line[1:-1])[0].decode("latin1")


def latin1_text(content: bytes) -> str:
    return content.decode("latin1")


def utf8_text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def unicode_line(line: bytes) -> str:
    return line.decode("raw-unicode-escape")
