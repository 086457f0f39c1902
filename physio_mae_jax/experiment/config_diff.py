"""In what the settings of two runs differ."""

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 5


def differing(before: Any, now: Any, name: str = "") -> list[str]:
    """Return the dotted names, below ``name``, of what differs between two JSON values.

    What was not there before is no difference: it is a setting of a later version.
    """
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [name]
    found = []
    for key, value in before.items():
        found += differing(value, now.get(key), f"{name}.{key}" if name else key)
    return found


def value_of(settings: Mapping[str, Any], name: str) -> Any:
    """Look up a dotted name."""
    value: Any = settings
    for key in name.split("."):
        value = value[key]
    return value


def some(names: Sequence[str]) -> str:
    """Word the first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
