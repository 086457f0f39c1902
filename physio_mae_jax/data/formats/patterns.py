"""Regular expressions of a manifest, which must not hang: Python's may take for ever.

A pattern whose cost is small by its form is searched for here. One that repeats what repeats, or
repeats many times in a row, may be harmless or endless: it is searched for by another process,
which is given a few seconds.
"""

import functools
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from re import _parser as sre  # type: ignore[attr-defined]
from typing import Any

from physio_mae_jax.errors import DataError

_SECONDS = 3.0
# Steps at worst, about a second's work.
_MAX_STEPS = 1e7
_NESTED = 99
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
# Groups of (pattern, text) that another process found.
_FOUND: dict[tuple[str, str], str | None] = {}
_SEARCH = """
import json, re, sys
pattern, texts = json.load(sys.stdin)
found = [re.search(pattern, text) for text in texts]
json.dump([match and match.group(1) for match in found], sys.stdout)
"""


def find_group(pattern: str, text: str, where: str) -> str | None:
    """Return the first group of a pattern in a text; None where there is no match.

    Raises:
        DataError: the search takes too long.
    """
    search_ahead(pattern, [text], where)
    if (pattern, text) in _FOUND:
        return _FOUND[pattern, text]
    match = re.search(pattern, text)
    return match.group(1) if match else None


def search_ahead(pattern: str, texts: Sequence[str], where: str) -> None:
    """Find and keep the groups of texts that may take long; raises as ``find_group`` does.

    All at once, since a process of its own for each would take a second for twenty files.
    """
    new = [text for text in dict.fromkeys(texts) if (pattern, text) not in _FOUND]
    slow = [text for text in new if _may_backtrack(pattern, len(text))]
    if slow:
        groups = _of_other_process(pattern, slow, where)
        _FOUND.update({(pattern, text): g for text, g in zip(slow, groups, strict=True)})


def _of_other_process(pattern: str, texts: Sequence[str], where: str) -> list[str | None]:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _SEARCH],
            input=json.dumps([pattern, list(texts)]),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        groups: list[str | None] = json.loads(done.stdout)
        return groups
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DataError(
            f"{where}: subject_pattern {pattern!r} takes more than {_SECONDS:g} s on "
            f"{len(texts)} paths. Do not repeat a group that repeats itself, such as (a+)+; write "
            r"it as plainly as '(p\d+)_'."
        ) from error


def _may_backtrack(pattern: str, length: int) -> bool:
    return max(length, 2) ** (_degree_of(pattern) + 1.0) > _MAX_STEPS


@functools.lru_cache(maxsize=256)
def _degree_of(pattern: str) -> int:
    """Return the power of a text's length that a search takes at worst; 99 for an exponential."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return min(_degree(sre.parse(pattern)), _NESTED)
        except (re.error, RecursionError, OverflowError):
            return _NESTED


def _degree(parsed: Any) -> int:
    degree = 0
    for operation, argument in parsed:
        name = str(operation)
        if name in _REPEATS:
            low, high, inner = argument
            within = _degree(inner)
            if high > 1 and (within or _has_choice(inner)):
                return _NESTED
            degree += within + (low != high)
        elif name == "BRANCH":
            degree += 1 + max((_degree(branch) for branch in argument[1]), default=0)
        elif name.startswith("GROUPREF"):
            return _NESTED
        elif isinstance(argument, tuple):
            parts = [part for part in argument if isinstance(part, sre.SubPattern)]
            degree += sum(map(_degree, parts))
    return degree


def _has_choice(parsed: Any) -> bool:
    for operation, argument in parsed:
        if str(operation) == "BRANCH":
            return True
        parts = argument if isinstance(argument, tuple) else ()
        if any(isinstance(part, sre.SubPattern) and _has_choice(part) for part in parts):
            return True
    return False
