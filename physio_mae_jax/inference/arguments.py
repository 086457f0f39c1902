"""Arguments beside the signals (rates, names, units, gains) as plain Python values.

A value may come from ``np.load`` (a 0-d array, NumPy text), from JAX, or as a pandas column or
index. Nothing is guessed: text is not parsed as a number, and unordered values are not lists.
"""

import dataclasses
import numbers
from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence, Set, ValuesView
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, TypeVar

import numpy as np

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.printable import show
from physio_mae_jax.setting_kinds import Number, check_setting_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Kind = TypeVar("_Kind", bound="DataclassInstance")
_MAX_NAME_LENGTH = 200


class _Array(Protocol):
    """An array of any library."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __array__(self) -> np.ndarray: ...


def plain(value: object) -> Any:
    """Return the value of a 0-d array, and text as ``str``; anything else unchanged.

    A masked value becomes None.
    """
    if isinstance(value, np.ma.MaskedArray) and value.ndim == 0:
        return None if np.ma.getmaskarray(value).all() else plain(value.data[()])
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", errors="backslashreplace")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.longdouble):
        return float(value)
    if isinstance(value, np.generic):
        return plain(value.item()) if not isinstance(value, np.void) else value
    if _is_array(value) and not value.shape:
        return plain(np.asarray(value)[()])
    return value


def is_missing(value: object) -> bool:
    """Return whether a value is None, NaN, NaT or NA."""
    value = plain(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and value != value


def number(value: object, what: str, meant: str) -> float:
    """Return a real number.

    Args:
        value: Number, or array of one element.
        what: Name of the value, for the message.
        meant: Expected value, such as 'a number of samples per second, such as 500'.

    Raises:
        DataError: The value is text, not a number, or missing.
    """
    is_one = _is_array(value) and _size(value) == 1 and not isinstance(value, np.ma.MaskedArray)
    found = plain(np.asarray(value).reshape(()) if is_one else value)
    if isinstance(found, str):
        raise DataError(f"{what} is the text {show(found)}; give {meant}, not text.")
    if is_missing(found):
        raise DataError(f"{what} is missing ({show(found)}); give {meant}.")
    if isinstance(found, bool) or not isinstance(found, numbers.Real | Decimal):
        raise DataError(f"{what} is {show(found)}; give {meant}.")
    try:
        return float(found)
    except (OverflowError, ValueError) as error:
        raise DataError(f"{what} is {show(found)}, beyond any number; give {meant}.") from error


def setting(value: object, name: str, kind: Number) -> float:
    """Return a number of a kind.

    Raises ConfigError as ``setting_kinds.check_setting_value`` does.
    """
    found = plain(value)
    check_setting_value(kind, name, found)
    return int(found) if kind.whole else float(found)


def sequence_of(kind: type[_Kind], values: Mapping[str, object]) -> _Kind:
    """Construct a dataclass from the keyword arguments of a call.

    Raises:
        ConfigError: A keyword is not a field, or its value is rejected.
    """
    known = [field.name for field in dataclasses.fields(kind)]
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{name!r} is not an argument of this call; choose from {', '.join(known)}."
            )
    return kind(**values)


def is_one_number(value: object) -> bool:
    """Return whether a value is a single number or None, not a list or array of several."""
    if _is_array(value):
        return _size(value) == 1
    return not isinstance(value, Iterable) or isinstance(value, str | bytes | bytearray)


def listed(value: object, what: str, meant: str = "a list") -> list[object]:
    """Return the entries of an ordered collection.

    Args:
        value: List, array or column.
        what: Name of the value, for the message.
        meant: Expected value, for the message.

    Raises:
        DataError: The value is not a list, or has no order.
    """
    if isinstance(value, list | tuple | range | KeysView | ValuesView):
        return list(value)
    if isinstance(value, np.ma.MaskedArray) and value.ndim:
        return [None if entry is np.ma.masked else entry for entry in value]
    if isinstance(value, np.ndarray) and value.ndim:
        return list(value)
    if hasattr(value, "tolist") and bool(getattr(value, "ndim", False)):  # pandas, JAX
        return list(value.tolist())
    if isinstance(value, Iterator):
        raise DataError(
            f"{what} is an iterator ({type(value).__name__}), which can be read only once; give a "
            "list, list(...)."
        )
    if isinstance(value, Mapping):
        raise DataError(f"{what} is a mapping; give a list in the order of what it is of.")
    if isinstance(value, Set):
        raise DataError(f"{what} is a set, which has no order; give a list.")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return list(value)
    raise DataError(f"{what} is {show(plain(value))}; give {meant}.")


def texts(value: object, what: str, meant: str) -> tuple[str, ...]:
    """Return names from a list, or from one comma-separated text.

    Raises:
        DataError: A name is not text, or is empty.
    """
    found = plain(value)
    entries = found.split(",") if isinstance(found, str) else listed(value, what, "a list of names")
    if not entries:
        raise DataError(f"{what} is empty; {meant}.")
    return tuple(_name(entry, what, meant) for entry in entries)


def _name(entry: object, what: str, meant: str) -> str:
    name = plain(entry)
    if not isinstance(name, str):
        raise DataError(
            f"{what} has {show(name)} ({type(name).__name__}) among its names, which are text; "
            f"{meant}."
        )
    if not 0 < len(name.strip()) <= _MAX_NAME_LENGTH:
        length = f"a name of {len(name)} letters" if name.strip() else "an empty name"
        raise DataError(f"{what} has {length}; {meant}.")
    return name.strip()


def holds_names(value: object) -> bool:
    """Return whether a value is one list of names, not a list of several such lists."""
    found = plain(value)
    if isinstance(found, str):
        return True
    entries = listed(value, "channels", "a list of names")
    return not any(
        isinstance(entry, list | tuple) or (_is_array(entry) and len(entry.shape) > 0)
        for entry in entries
    )


def _is_array(value: object) -> TypeGuard[_Array]:
    return hasattr(value, "shape") and hasattr(value, "__array__") and not isinstance(value, type)


def _size(value: _Array) -> int:
    return int(np.prod(value.shape))
