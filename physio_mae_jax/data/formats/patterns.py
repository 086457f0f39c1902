"""Regular expressions of a manifest, with a time limit against catastrophic backtracking.

Patterns with a small worst-case cost are searched in this process. Patterns with nested or many
consecutive repetitions may backtrack exponentially and are searched in a subprocess with a timeout
of a few seconds.
"""

import functools
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from re import _parser as sre  # type: ignore[attr-defined]

from physio_mae_jax.errors import DataError

_TIMEOUT_S = 3.0
# Worst-case steps, about one second.
_MAX_STEPS = 1e7
_EXPONENTIAL = 99
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
# (pattern, text) -> first group, as found by the subprocess.
_CACHE: dict[tuple[str, str], str | None] = {}
_SEARCH = """
import json, re, sys
pattern, texts = json.load(sys.stdin)
found = [re.search(pattern, text) for text in texts]
json.dump([match and match.group(1) for match in found], sys.stdout)
"""


def find_group(pattern: str, text: str, where: str) -> str | None:
    """Return the first group of a pattern in a text; None if there is no match.

    Raises:
        DataError: the search takes too long.
    """
    search_ahead(pattern, [text], where)
    if (pattern, text) in _CACHE:
        return _CACHE[pattern, text]
    match = re.search(pattern, text)
    return match.group(1) if match else None


def search_ahead(pattern: str, texts: Sequence[str], where: str) -> None:
    """Search slow patterns in one batch and cache the groups; raises as ``find_group`` does.

    One subprocess serves all texts: one per text would take a second for twenty files.
    """
    uncached = [text for text in dict.fromkeys(texts) if (pattern, text) not in _CACHE]
    slow = [text for text in uncached if _may_backtrack(pattern, len(text))]
    if slow:
        groups = _search_in_subprocess(pattern, slow, where)
        _CACHE.update({(pattern, text): g for text, g in zip(slow, groups, strict=True)})


def _search_in_subprocess(pattern: str, texts: Sequence[str], where: str) -> list[str | None]:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _SEARCH],
            input=json.dumps([pattern, list(texts)]),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        groups: list[str | None] = json.loads(done.stdout)
        return groups
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DataError(
            f"{where}: subject_pattern {pattern!r} takes more than {_TIMEOUT_S:g} s on "
            f"{len(texts)} paths. Avoid nested repetition such as (a+)+; use a simple pattern such "
            r"as '(p\d+)_'."
        ) from error


def _may_backtrack(pattern: str, length: int) -> bool:
    return max(length, 2) ** (_polynomial_degree(pattern) + 1.0) > _MAX_STEPS


@functools.lru_cache(maxsize=256)
def _polynomial_degree(pattern: str) -> int:
    """Return the degree of the worst-case cost in the text length; 99 if it is exponential."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return min(_count_degree(sre.parse(pattern)), _EXPONENTIAL)
        except (re.error, RecursionError, OverflowError):
            return _EXPONENTIAL


def _count_degree(parsed: sre.SubPattern) -> int:
    degree = 0
    for operation, argument in parsed:
        name = str(operation)
        if name in _REPEATS:
            low, high, inner = argument
            within = _count_degree(inner)
            if high > 1 and (within or _has_choice(inner)):
                return _EXPONENTIAL
            degree += within + (low != high)
        elif name == "BRANCH":
            degree += 1 + max((_count_degree(branch) for branch in argument[1]), default=0)
        elif name.startswith("GROUPREF"):
            return _EXPONENTIAL
        elif isinstance(argument, tuple):
            parts = [part for part in argument if isinstance(part, sre.SubPattern)]
            degree += sum(map(_count_degree, parts))
    return degree


def _has_choice(parsed: sre.SubPattern) -> bool:
    for operation, argument in parsed:
        if str(operation) == "BRANCH":
            return True
        parts = argument if isinstance(argument, tuple) else ()
        if any(isinstance(part, sre.SubPattern) and _has_choice(part) for part in parts):
            return True
    return False
