"""The start of a recording as headers state it, in ISO 8601 without a zone; '' where it is unclear.

Headers state the clock of the recording device, and anonymized ones a shifted or impossible date.
A start only labels results, so one that cannot be read is not an error.
"""

import datetime
import re

_WFDB = re.compile(
    r"\[?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,6})?)\s+(\d{1,2})/(\d{1,2})/(\d{4})\]?", re.ASCII
)
_TWO_DIGITS = re.compile(r"(\d\d)[./:-](\d\d)[./:-](\d\d)", re.ASCII)
_FIRST_EDF_YEAR = 1985
# What EDF+ prescribes where the start must not be known.
_ANONYMIZED = "1985-01-01T00:00:00"


def iso_time(year: int, month: int, day: int, hour: int, minute: int, second: float) -> str:
    """Return an instant in ISO 8601; '' if there is no such day or time."""
    try:
        whole = datetime.datetime(year, month, day, hour, minute, int(second))
    except (ValueError, OverflowError):
        return ""
    found = whole + datetime.timedelta(microseconds=round((second - int(second)) * 1e6))
    return found.isoformat()


def wfdb_start_time(text: str) -> str:
    """Return the start that the base time and date of a WFDB header state: '10:15:00 31/12/2025'.

    A time without a date does not give an instant.
    """
    found = _WFDB.fullmatch(text.strip())
    if found is None:
        return ""
    hour, minute, second, day, month, year = found.groups()
    return iso_time(int(year), int(month), int(day), int(hour), int(minute), float(second))


def edf_start_time(date: str, time: str) -> str:
    """Return the start in an EDF header, 'dd.mm.yy' and 'hh.mm.ss'; the years are 1985 to 2084.

    The first of these instants marks an anonymized recording.
    """
    days, clock = _TWO_DIGITS.fullmatch(date), _TWO_DIGITS.fullmatch(time)
    if days is None or clock is None:
        return ""
    day, month, short_year = map(int, days.groups())
    century = 1900 if short_year >= _FIRST_EDF_YEAR % 100 else 2000
    hour, minute, second = map(int, clock.groups())
    found = iso_time(century + short_year, month, day, hour, minute, second)
    return "" if found == _ANONYMIZED else found
