"""In what the settings of two runs differ."""

from collections.abc import Sequence
from typing import Any

_SHOWN = 5


def differing(one: Any, two: Any, name: str = "") -> list[str]:
    """Return the dotted names, below ``name``, of what differs between two JSON values."""
    if not (isinstance(one, dict) and isinstance(two, dict)):
        return [] if one == two else [name]
    found = []
    for key in dict.fromkeys((*one, *two)):
        found += differing(one.get(key), two.get(key), f"{name}.{key}" if name else key)
    return found


def some(names: Sequence[str]) -> str:
    """Word the first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
