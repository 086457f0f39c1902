"""What pickles hold: texts and numbers decoded, keys checked, containers copied into a tree."""

import codecs
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from physio_mae_jax.errors import DataError

MAX_DEPTH = 50
_MOST_VALUES = 5_000_000
_SCALARS = (str, bytes, bool, int, float, type(None))


class PickleError(ValueError):
    """A pickle that is broken, or does what data does not need."""


class UnknownNameError(DataError):
    """A pickle that names what is not known here, such as a function to be called."""

    def __init__(self, name: str) -> None:
        super().__init__(f"names {name}, which is not known here; nothing of the file was run")


class Function(NamedTuple):
    """What stands for a name of a pickle.

    Attributes:
        name: as the pickle has it.
        call: is given what the pickle gives.
    """

    name: str
    call: Callable[..., Any]


class StandIn:
    """Base of what functions of the caller make, where it is to take a state or to be replaced."""

    def build(self, state: Any) -> None:
        """Take a state that the pickle gives."""
        raise PickleError(f"it gives a state to {type(self).__name__}, which has none")

    def result(self) -> Any:
        """Return what stands in the content in the end."""
        raise PickleError(f"it holds {type(self).__name__}, which is no data")


def checked_key(key: Any) -> Any:
    """Return a key whose hash takes no longer than it is; of tuples only flat ones are."""
    parts = key if type(key) is tuple else (key,)
    for part in parts:
        if type(part) not in _SCALARS:
            raise PickleError(f"a key is or holds {type(part).__name__}; texts and numbers may be")
    return key


def tree(value: Any, size: int) -> Any:
    """Copy containers, so that whoever walks the result sees no more than was written.

    A pickle of a few bytes may hold one list in another in another, each twice.

    Args:
        value: what was read.
        size: of the pickle in bytes, which bounds the values of the tree.

    Raises:
        PickleError: there are more, or they are nested too deep.
    """
    return _copied(value, _Budget(min(_MOST_VALUES, 20 * size + 100_000)), 0)


class _Budget:
    """How many values a tree may still have."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise PickleError("it holds its own parts over and over")


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
        raise PickleError(f"it holds {value.name}, which is no data")
    return value.result() if isinstance(value, StandIn) else value


def integer(line: bytes) -> int | bool:
    if line in (b"00", b"01"):
        return line == b"01"
    return int(line.removesuffix(b"L"))


def escaped_text(line: bytes) -> str:
    """Decode a text of Python 2: each byte stays as it is."""
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
