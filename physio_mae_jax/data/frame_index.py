"""Checking the index of a data frame against the sampling rate."""

import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from physio_mae_jax.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_MAX_DEVIATION_STEPS = (
    2.0  # offset_from_grid from even spacing; coarsely rounded times deviate by one step
)
_MAX_RATE_DEVIATION = 0.02
# Only times that are rounded to fewer digits than a step may repeat.
_COARSE = 0.99
_DAY_SECONDS = 86_400.0
_INTEGER_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_HINT = "use frame.reset_index(drop=True) if it is not a time"


class _RowTimes(NamedTuple):
    """Row times: ``values`` [n] relative to the first row, in seconds or as integers."""

    values: np.ndarray
    is_integer: bool


def check_index(index: "pd.Index", rate_hz: float, name: str) -> str:
    """Reject an index whose row spacing contradicts the sampling rate.

    All time types are supported: with and without time zone, periods, durations, Python objects
    and text. Integers may count rows; other numbers are seconds.

    Args:
        index: Index of a pandas frame or series.
        rate_hz: Sampling rate of the rows in Hz.
        name: Name of the recording, for messages.

    Returns:
        The reason why the index was not checked; '' if it was.

    Raises:
        DataError: rows are missing, out of order or duplicated, or the rate differs.
    """
    if len(index) < 3:
        return ""
    if getattr(index, "nlevels", 1) > 1:
        return "the index of the frame has several levels, so it was not checked for gaps and rate"
    rows = _row_times(index)
    if rows is None:
        return (
            f"the index of the frame has type {index.dtype}, which cannot be read as times, so it "
            "was not checked for gaps and rate"
        )
    step = _check_order(rows, index, rate_hz, name)
    offset_from_grid = rows.values - step * np.arange(len(rows.values))
    if not np.abs(offset_from_grid).max() <= _MAX_DEVIATION_STEPS * abs(step):
        row = int(np.argmax(np.abs(np.diff(rows.values) - step)))
        raise DataError(
            f"{name}: the index of the frame jumps from {index[row]} to {index[row + 1]}, but its "
            "rows must be evenly spaced. Insert missing rows as NaN (frame.reindex), "
            f"encode the segments separately, or {_HINT}."
        )
    if rows.is_integer:
        return _check_integer_step(step, rate_hz)
    if abs(step * rate_hz - 1) > _MAX_RATE_DEVIATION:
        raise DataError(
            f"{name}: the index of the frame advances by {step:.6g} s per row, which is "
            f"{1 / step:.6g} samples per second, but sampling_rate_hz is {rate_hz:g}. Give that "
            f"rate, or {_HINT} in seconds."
        )
    return ""


def _check_order(rows: _RowTimes, index: "pd.Index", rate_hz: float, name: str) -> float:
    """Reject rows that are out of order or duplicated; return the mean step."""
    values = rows.values
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(
            f"{name}: the index of the frame has no value in row {row}; fill it, or {_HINT}."
        )
    steps = np.diff(values)
    if (steps < 0).any():
        row = int(np.argmin(steps >= 0))
        order = "runs backwards" if (steps < 0).all() else "is out of order"
        raise DataError(
            f"{name}: the index of the frame {order}: {index[row + 1]} comes after {index[row]}. "
            f"Sort the frame (frame.sort_index()), or {_HINT}."
        )
    repeated = steps == 0
    if repeated.any():
        smallest = steps[~repeated].min() if not repeated.all() else np.inf
        if rows.is_integer or repeated.all() or 1 / rate_hz > _COARSE * smallest:
            row = int(np.argmax(repeated))
            raise DataError(
                f"{name}: {index[row]} occurs twice in the index of the frame ({repeated.sum()} "
                "rows repeat the previous one). Drop duplicated rows "
                f"(frame[~frame.index.duplicated()]), or {_HINT}."
            )
    return float(values[-1] / (len(values) - 1))


def _check_integer_step(step: float, rate_hz: float) -> str:
    """Check integers that do not count rows against the known time units."""
    if abs(step - 1) < 1e-9:
        return ""
    for seconds in _INTEGER_UNITS.values():
        if abs(step * seconds * rate_hz - 1) <= _MAX_RATE_DEVIATION:
            return ""
    return (
        f"the index of the frame advances by {step:.6g} per row in an unknown unit, so the rate of "
        f"{rate_hz:g} Hz was not checked against it"
    )


def _row_times(index: "pd.Index") -> _RowTimes | None:
    """Return the row positions given by the index; None if it is not a time."""
    import pandas as pd

    if isinstance(index, pd.CategoricalIndex):
        index = pd.Index(np.asarray(index))
    if isinstance(index, pd.IntervalIndex):
        index = index.left
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
        return _times_to_rows(index)
    kind = getattr(index.dtype, "kind", "O")
    if kind in "mM":  # pyarrow types
        return _times_to_rows(pd.DatetimeIndex(index) if kind == "M" else pd.TimedeltaIndex(index))
    if kind in "iu" and not index.hasnans:
        values = index.to_numpy(dtype=np.dtype(f"{kind}8")).astype(np.int64)
        return _RowTimes((values - values[0]).astype(np.float64), True)
    if kind in "fiu":
        values = index.to_numpy(dtype=np.float64, na_value=np.nan)
        return _RowTimes(values - values[0], kind != "f")
    return None if kind == "b" else _objects_to_rows(index)


def _times_to_rows(times: "pd.DatetimeIndex | pd.TimedeltaIndex") -> _RowTimes:
    """Convert a DatetimeIndex or TimedeltaIndex to seconds since its first value; NaN for NaT."""
    if getattr(times, "tz", None) is not None:
        times = times.tz_convert("UTC").tz_localize(None)
    values = times.to_numpy()
    return _RowTimes((values - values[0]) / np.timedelta64(1, "s"), False)


def _objects_to_rows(index: "pd.Index") -> _RowTimes | None:
    """Convert Python objects and text if all of them are times, durations or numbers."""
    import pandas as pd

    first = index[0]
    if isinstance(first, datetime.time):
        index = pd.Index([str(value) for value in index])
    if isinstance(index[0], str):
        numbers = pd.to_numeric(pd.Series(index), errors="coerce").to_numpy(np.float64)
        if np.isfinite(numbers).all():
            return _RowTimes(numbers - numbers[0], bool((numbers == np.round(numbers)).all()))
    found = _parse_times(index)
    return (
        None
        if found is None or bool(found.hasnans)
        else _unwrap_midnight(_times_to_rows(found), index[0])
    )


def _parse_times(index: "pd.Index") -> "pd.DatetimeIndex | pd.TimedeltaIndex | None":
    """Parse objects or text as DatetimeIndex or TimedeltaIndex; None if neither fits."""
    import pandas as pd
    from pandas.tseries.api import guess_datetime_format

    try:
        if not isinstance(index[0], str):
            if isinstance(index[0], datetime.timedelta | np.timedelta64):
                return pd.to_timedelta(index, errors="coerce")
            return pd.DatetimeIndex(pd.to_datetime(index, utc=True, errors="coerce"))
        durations = pd.to_timedelta(index[:1], errors="coerce")
        if not durations.hasnans:
            return pd.to_timedelta(index, errors="coerce")
        form = guess_datetime_format(index[0])
        if form is None:
            return None
        form = "ISO8601" if form.startswith("%Y-%m-%d") else form
        return pd.DatetimeIndex(pd.to_datetime(index, utc=True, errors="coerce", format=form))
    except (TypeError, ValueError, OverflowError):
        return None  # objects that are not times


def _unwrap_midnight(rows: _RowTimes, first: object) -> _RowTimes:
    """Unwrap clock times without a date at midnight."""
    if not isinstance(first, str) or ":" not in first or "-" in first or "day" in first:
        return rows
    past = np.cumsum(np.diff(rows.values, prepend=rows.values[0]) < -_DAY_SECONDS / 2)
    return _RowTimes(rows.values + _DAY_SECONDS * past, False)
