"""Differences between the settings of two runs."""

from collections.abc import Sequence

from physio_mae_jax.types import Settings

_SHOWN = 5


def find_differences(before: object, now: object, name: str = "") -> list[str]:
    """Return the dotted names, below ``name``, at which two JSON values differ.

    A name absent from the earlier value does not count: a later version added the setting.
    """
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [name]
    found = []
    for key, value in before.items():
        found += find_differences(value, now.get(key), f"{name}.{key}" if name else key)
    return found


def get_value(settings: Settings, name: str) -> object:
    """Return the value at a dotted name."""
    *sections, last = name.split(".")
    for section in sections:
        settings = settings[section]
    return settings[last]


def format_names(names: Sequence[str]) -> str:
    """Format the first few names and the number of the others."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
