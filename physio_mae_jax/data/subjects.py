"""Normalization of subject names: one spelling per subject.

Splits group recordings by this name only, so 1, '1.0' and ' 1 ' in different files must map to the
same name, and a missing id must not become a name.
"""

import logging
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_LOG = logging.getLogger(__name__)
_SHOWN = 5

# Texts that mark a missing value.
NO_VALUE = frozenset({"", "nan", "none", "<na>", "n/a", "null", "nat"})
_INTEGER = re.compile(r"([+-]?\d+)\.0*")
_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")


def is_missing(value: object) -> bool:
    """Return whether a number or text marks a missing value: NaN, None, 'nan', '<NA>', ''."""
    if value is None:
        return True
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, str) and value.strip().lower() in NO_VALUE


def subject_name(value: object) -> str | None:
    """Return the name of a subject; None if the value is missing.

    Args:
        value: Text, bytes or number as stored in the file. 1.0 and '1.0' become '1'.
    """
    if isinstance(value, bytes):
        encoded = value
        try:
            value = encoded.decode("utf-8")
        except UnicodeDecodeError:
            value = encoded.decode("latin-1")
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = unicodedata.normalize("NFKC", str(value)).strip().strip("\0").strip()
    integer = _INTEGER.fullmatch(text)
    return integer[1] if integer else text or None


def group_similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Group names that differ only in case or leading zeros."""
    groups: dict[str, dict[str, None]] = defaultdict(dict)
    for name in names:
        integer = _INTEGER.fullmatch(name.strip())
        key = _ZEROS.sub("", (integer[1] if integer else name.strip()).casefold())
        groups[key][name] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]


def warn_about_similar_subjects(where: str, names: Iterable[str]) -> None:
    """Warn about subjects whose names differ only in case or leading zeros.

    Args:
        where: Name of the folder or data set.
        names: Names of the subjects.
    """
    groups = group_similar_names(names)
    if groups:
        shown = "; ".join(" and ".join(map(repr, group)) for group in groups[:_SHOWN])
        more = f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
        _LOG.warning(
            "%s: the subjects %s%s differ in leading zeros or case only and count as different "
            "subjects. If they are the same subject, a split may put it into several splits: use "
            "one spelling in the files or in the manifest's 'subjects'.",
            where,
            shown,
            more,
        )
