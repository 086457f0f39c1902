"""Differences between the settings of two runs."""

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 5


def differing(before: Any, now: Any, name: str = "") -> list[str]:
    """Return the dotted names, below ``name``, at which two JSON values differ.

    A name absent from the earlier value is no difference: a later version added the setting.
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
    """Format the first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
