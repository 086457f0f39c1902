"""Who a recording is of: one spelling for one person, whatever the file calls them.

Splits keep a person's recordings together by this name alone, so that 1, '1.0' and ' 1 ' of three
files must be one name, and an id that is no id must not be one.
"""

import logging
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

_LOG = logging.getLogger(__name__)
_SHOWN = 5

# What stands where a value should, and says that there is none.
NO_VALUE = frozenset({"", "nan", "none", "<na>", "n/a", "null", "nat"})
_WHOLE = re.compile(r"([+-]?\d+)\.0*")
_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")


def is_missing(value: Any) -> bool:
    """Say whether a number or text says that there is no value: NaN, None, 'nan', '<NA>', ''."""
    if value is None:
        return True
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, str) and value.strip().lower() in NO_VALUE


def subject_name(value: Any) -> str | None:
    """Return the name of a person; None where the value names nobody.

    Args:
        value: text, bytes or a number, as a file has it. 1.0 and '1.0' are '1'.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = unicodedata.normalize("NFKC", str(value)).strip().strip("\0").strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text or None


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of names that differ in case or in leading zeros alone."""
    groups: dict[str, dict[str, None]] = defaultdict(dict)
    for name in names:
        whole = _WHOLE.fullmatch(name.strip())
        key = _ZEROS.sub("", (whole[1] if whole else name.strip()).casefold())
        groups[key][name] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]


def warn_of_alike_subjects(where: str, names: Iterable[str]) -> None:
    """Warn of people whose names differ in case or in leading zeros alone.

    Args:
        where: the folder or data set.
        names: of the people.
    """
    groups = alike(names)
    if groups:
        shown = "; ".join(" and ".join(map(repr, group)) for group in groups[:_SHOWN])
        more = f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
        _LOG.warning(
            "%s: the subjects %s%s differ in leading zeros or case alone, and count as different "
            "people. If they are the same, splits put one person on both sides: spell each one in "
            "one way, in the files or in the manifest's 'subjects'.",
            where,
            shown,
            more,
        )
