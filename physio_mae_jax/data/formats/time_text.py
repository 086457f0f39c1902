"""Parsing times written as text: ISO 8601 dates and clock times HH:MM:SS.fff."""

import re
from collections.abc import Sequence

import numpy as np

DATES = "dates"
CLOCK = "a clock"
_NS = 10**9
_DAY_NS = 86_400 * _NS
_DATE = re.compile(r"\d{4}-?\d\d(?:-?\d\d(?:[T ].*)?)?")
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2})(?:[.,](\d{1,9}))?")


def classify_time_text(cell: str) -> str:
    """Return ``DATES`` or ``CLOCK`` for a cell with such a time, '' for any other."""
    cell = _strip_cell(cell)
    if _DATE.fullmatch(cell) and len(cell) >= 8 and not cell.isdigit():
        return DATES
    return CLOCK if _CLOCK.fullmatch(cell) else ""


def parse_times_ns(cells: Sequence[object], kind: str) -> np.ndarray:
    """Parse times to int64 [n], nanoseconds since 1970 or midnight.

    Args:
        cells: Texts of the same kind.
        kind: ``DATES`` or ``CLOCK``.

    Raises:
        ValueError: a cell is invalid; its index is the second argument of the exception.
    """
    texts = [_strip_cell(cell) if isinstance(cell, str) else "" for cell in cells]
    return _parse_dates(texts) if kind == DATES else _parse_clock(texts)


def unwrap_midnight(times: np.ndarray, day: int = _DAY_NS) -> np.ndarray:
    """Unwrap clock times that pass midnight by adding a day, int64 [n]."""
    days = np.cumsum(np.diff(times, prepend=times[:1]) < -(day // 2))
    return times + days * day


def _strip_cell(cell: str) -> str:
    return cell.strip().strip("'\"[]").strip()


def _parse_dates(texts: list[str]) -> np.ndarray:
    import pandas

    # ISO 8601 allows a decimal comma; 'UTC' after a time is as common as 'Z'.
    texts = [re.sub(r"\s*UTC$", "Z", text.replace(",", ".")) for text in texts]
    try:
        times = pandas.to_datetime(pandas.Series(texts), format="ISO8601", utc=True)
        if times.isna().any():
            raise ValueError
        return times.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    except (ValueError, OverflowError):
        raise ValueError("not a date", _first_invalid(texts, DATES)) from None


def _parse_clock(texts: list[str]) -> np.ndarray:
    times_ns = np.empty(len(texts), np.int64)
    for index, text in enumerate(texts):
        match = _CLOCK.fullmatch(text)
        if match is None or (match[1] is None and match[4] is None):
            # '12:30' is ambiguous: hours and minutes, or minutes and seconds.
            raise ValueError("not a clock time", index)
        seconds = (int(match[1] or 0) * 60 + int(match[2])) * 60 + int(match[3])
        times_ns[index] = seconds * _NS + int((match[4] or "0").ljust(9, "0"))
    return times_ns


def _first_invalid(texts: list[str], kind: str) -> int:
    return next((i for i, text in enumerate(texts) if classify_time_text(text) != kind), 0)
