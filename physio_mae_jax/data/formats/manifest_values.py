"""Checks of single manifest values; each returns the value or raises an error."""

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from physio_mae_jax.data.json_types import did_you_mean
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show

_MAX_PARTS = 64
# Nested '**' traverse the same folders repeatedly.
_MAX_DESCENTS = 3
_LONGEST_PATTERN = 1000
AXES = ("record", "channel", "sample")


def parse_file(value: object, label: str) -> str:
    """Check the path or glob of an entry."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise DataError(f"{label}: 'file' must be a path or glob, found {show(value)}.")
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise DataError(
            f"{label}: file {show(value)} must be relative to the folder and stay inside it."
        )
    parts = Path(value).parts
    if not parts:
        raise DataError(
            f"{label}: file {value!r} is the folder itself; name its files, such as '*.npz'."
        )
    if parts.count("**") > _MAX_DESCENTS or len(parts) > _MAX_PARTS:
        raise DataError(
            f"{label}: file {show(value)} has {len(parts)} parts, {parts.count('**')} of them "
            f"'**'; {_MAX_PARTS} and {_MAX_DESCENTS} are the maximum. One '**/' descends to any "
            "depth."
        )
    return value


def parse_rate(value: object, label: str) -> float:
    """Check a sampling rate in Hz."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    # The bound keeps integers of hundreds of digits from overflowing float().
    if not 0 < number < 1e12:
        raise DataError(
            f"{label}: 'sampling_rate_hz' must be a number of samples per second above 0, "
            f"found {show(value)}."
        )
    return float(number)


def parse_channels(value: object, label: str) -> tuple[tuple[str, str], ...]:
    """Return (name in the file, name to use) pairs."""
    pairs = list(value.items()) if isinstance(value, dict) else value
    if isinstance(value, list):
        pairs = [(name, name) for name in value]
    if not isinstance(pairs, list) or not pairs:
        raise DataError(
            f'{label}: \'channels\' must be a list such as ["I", "II"] or an object '
            f"{{name in the file: name to use}}, found {show(value)}."
        )
    for name in (name for pair in pairs for name in pair):
        if not isinstance(name, str) or not name.strip() or name == "?":
            raise DataError(f"{label}: {show(name)} in 'channels' is not the name of a channel.")
    return tuple((source.strip(), used.strip()) for source, used in pairs)


def parse_axes(value: object, label: str) -> tuple[str, ...]:
    """Check the axis names of an array."""
    axes = value if isinstance(value, list) else []
    valid = all(isinstance(axis, str) for axis in axes)
    if valid and len(set(axes)) == len(axes) and set(axes) <= set(AXES) and "sample" in axes:
        return tuple(axes)
    raise DataError(
        f"{label}: 'axes' must list each axis of the array once, of {', '.join(AXES)} and with "
        f'sample, such as ["sample", "channel"]; found {show(value)}.'
    )


def parse_text(value: object, key: str, label: str) -> str:
    """Check a text, which must not be empty."""
    if not isinstance(value, str) or not value:
        raise DataError(f"{label}: {key!r} must be a text, found {show(value)}.")
    return value


def parse_by_stem(value: object, key: str, meaning: str, label: str) -> dict[str, str]:
    """Check an object with one value per file name."""
    if not isinstance(value, dict) or not value:
        raise DataError(
            f"{label}: {key!r} must be an object {{file name without suffix: {meaning}}}, "
            f"found {show(value)}."
        )
    return {stem: parse_name(name, f"{key}[{stem!r}]", label) for stem, name in value.items()}


def parse_name(value: object, key: str, label: str) -> str:
    """Return a text or integer as text."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise DataError(f"{label}: {key} must be a text or integer, found {show(value)}.")
    return str(value)


def check_pattern(pattern: str, label: str) -> None:
    """Reject anything but a regular expression with one group."""
    if len(pattern) > _LONGEST_PATTERN:
        raise DataError(
            f"{label}: subject_pattern has {len(pattern)} characters; {_LONGEST_PATTERN} are the "
            "maximum."
        )
    try:
        with warnings.catch_warnings():
            # Patterns whose meaning will change in Python, such as '[[a-z]', are likely mistakes.
            warnings.simplefilter("error", FutureWarning)
            groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        raise DataError(f"{label}: subject_pattern {pattern!r} is not valid: {error}.") from error
    if groups != 1:
        raise DataError(
            f"{label}: subject_pattern {pattern!r} has {groups} groups; it needs exactly one, "
            r"around the subject, such as '(p\d+)_'."
        )


def reject_unknown_keys(fields: Mapping[str, object], known: Iterable[str], where: str) -> None:
    """Reject unknown keys and suggest the nearest known one."""
    known = tuple(known)
    for key in fields:
        if key not in known:
            raise DataError(
                f"{where}: unknown key {key!r}; known are {', '.join(known)}."
                f"{did_you_mean(key, known)}"
            )
