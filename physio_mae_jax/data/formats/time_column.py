"""The sampling rate of a table from its time columns and their units.

The unit follows from the column name, the type of the values (dates, clock times, timestamps), or
a value that is plausible in one unit only (milliseconds since 1970). A column without a unit is
assumed to be in seconds if that gives a common recording rate. Integers may also be milliseconds or
sample numbers, and 7500 Hz in seconds may be 125 Hz in minutes: the user is asked in these cases.
"""

import dataclasses
import logging
from collections.abc import Callable, Sequence

import numpy as np

from physio_mae_jax.data.formats.column_names import TimeName
from physio_mae_jax.data.formats.file_facts import RATE_TOLERANCE, UnreadableError
from physio_mae_jax.data.formats.time_units import (
    NAMES,
    SECONDS,
    format_rate_candidates,
    infer_epoch_unit,
    is_common_rate,
    plausible_rates,
)
from physio_mae_jax.data.formats.uniform_times import (
    find_off_grid,
    mean_sampling_interval,
    printed_resolution,
    uniform_rate_hz,
)
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.rates import check_rate

_LOG = logging.getLogger(__name__)
# Device clocks drift less than this; a pause of 5 % of the recording is not jitter.
_CLOCK_TOLERANCE = 0.05
_COUNTS = ("s", "ms", "us", "ns")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Times:
    """A time column.

    Attributes:
        name: Column name, for messages.
        values: Times [n] in the unit of the column; NaN where missing.
        unit: Key of ``SECONDS``; None if it is unknown.
        origin: First value, if ``values`` are relative to it.
        time_name: Meaning of its name.
        error: Why it cannot be read; empty if it can.
    """

    name: str
    values: np.ndarray
    unit: str | None
    time_name: TimeName
    origin: float | None = None
    error: str = ""


@dataclasses.dataclass(frozen=True)
class TableRate:
    """The rate of a table.

    Attributes:
        rate_hz: Sampling rate in Hz; None if the times do not determine it.
        question: Ambiguity that a manifest must resolve; empty if there is none.
        column: Name of the column that determines the rate.
    """

    rate_hz: float | None
    question: str = ""
    column: str = ""


@dataclasses.dataclass(frozen=True)
class Context:
    """Context in which the times of a table are checked.

    Attributes:
        where: Name of the file in error messages.
        describe_row: Formats the position of a sample index in the file, such as 'line 2'.
        channels: Names of the channels of the table.
        stated_hz: Rate in Hz from the manifest, else from the file header; None if neither
            states one.
    """

    where: str
    describe_row: Callable[[int], str]
    channels: Sequence[str] = ()
    stated_hz: float | None = None


def infer_table_rate(columns: Sequence[Times], context: Context) -> TableRate:
    """Infer the sampling rate of a table from its time columns.

    Args:
        columns: Time columns, in table order; those with n = 0 or 1 are ignored.
        context: Context of the table.

    Returns:
        The rate by the first column that determines it: columns of a known unit first.

    Raises:
        UnreadableError: the times are broken or not uniform.
        DataError: the rate is not plausible, or two columns, or a column and the manifest,
            disagree on it.
    """
    timed = [column for column in map(_infer_unit_from_epoch, columns) if len(column.values) > 1]
    timed.sort(key=lambda column: (not column.time_name.plain, column.unit is None))
    found: tuple[Times, float] | None = None
    errors: list[UnreadableError] = []
    questions: list[str] = []
    for column in timed:
        if found is not None and (column.unit is None or column.error):
            continue
        try:
            rate = _infer_column_rate(column, context)
        except UnreadableError as error:
            if column.time_name.plain:
                errors.append(error)
            else:
                questions.append(f"its column {column.name!r} gives no rate: {error}")
            continue
        if rate.question:
            questions.append(rate.question)
        if rate.rate_hz is not None:
            if found is not None:
                _reject_two_rates(found, (column, rate.rate_hz), context)
            found = found or (column, rate.rate_hz)
    if found is not None:
        return TableRate(found[1], column=found[0].name)
    if errors and not questions:
        raise errors[0]
    return TableRate(None, questions[0] if questions and context.stated_hz is None else "")


def _infer_unit_from_epoch(column: Times) -> Times:
    """Infer the unit of a column without one if its values are times since 1970."""
    if column.unit is not None or column.error or not len(column.values):
        return column
    first = column.values[0] if column.origin is None else column.origin
    unit = infer_epoch_unit(float(first)) if np.isfinite(first) else None
    return dataclasses.replace(column, unit=unit) if unit else column


def _infer_column_rate(column: Times, context: Context) -> TableRate:
    if context.stated_hz is not None and not column.time_name.seconds:
        return _check_against_stated(column, context.stated_hz, context)
    if column.error:
        raise UnreadableError(column.error)
    if column.unit is not None:
        rate_hz = uniform_rate_hz(
            column.values,
            context.where,
            context.stated_hz,
            context.describe_row,
            SECONDS[column.unit],
        )
        # The caller compares it with the stated rate, since the message depends on its source.
        _check_plausible(rate_hz, column, context)
        return TableRate(rate_hz)
    if context.stated_hz is not None:
        return _match_stated_rate(column, context.stated_hz, context)
    return _infer_unitless_rate(column, context)


def _infer_unitless_rate(column: Times, context: Context) -> TableRate:
    """Infer the rate from times without a unit, or ask for the unit."""
    step = mean_sampling_interval(column.values, context.where, context.describe_row)
    if _are_integers(column.values):
        is_uniform = find_off_grid(column.values, step, np.zeros(len(column.values))) is None
        if not is_uniform and not column.time_name.plain:
            raise UnreadableError(f"{context.where}: column {column.name!r} is not uniform.")
        return TableRate(None, _ask_integer_unit(column, step))
    rate_hz = uniform_rate_hz(column.values, context.where, None, context.describe_row)
    _check_plausible(rate_hz, column, context)
    if not is_common_rate(rate_hz, context.channels):
        others = plausible_rates(step, context.channels, ("ms", "us", "ns", "min", "h", "d"))
        common_units = [unit for unit, hz in others.items() if is_common_rate(hz, context.channels)]
        if common_units:
            return TableRate(
                None, _ask_unit(column, f"a mean step of {step:g}", step, common_units)
            )
    return TableRate(rate_hz)


def _check_against_stated(column: Times, stated_hz: float, context: Context) -> TableRate:
    """Check times against a stated rate, which takes precedence if they are not uniform."""
    if column.unit is None and not column.time_name.plain:
        return TableRate(None)
    doubt = column.error
    try:
        if not doubt:
            if column.unit is None:
                return _match_stated_rate(column, stated_hz, context)
            step = mean_sampling_interval(column.values, context.where, context.describe_row)
            mean_hz = 1.0 / (step * SECONDS[column.unit])
            if column.time_name.plain:
                _reject_other_rate(mean_hz, stated_hz, _CLOCK_TOLERANCE, column, context)
            rate_hz = uniform_rate_hz(
                column.values, context.where, stated_hz, context.describe_row, SECONDS[column.unit]
            )
            _reject_other_rate(rate_hz, stated_hz, _CLOCK_TOLERANCE, column, context)
            if abs(rate_hz - stated_hz) > RATE_TOLERANCE * rate_hz:
                doubt = f"{context.where}: {rate_hz:g} samples per second by {column.name!r}."
    except UnreadableError as error:
        doubt = str(error)
    if doubt and column.time_name.plain:
        _LOG.warning("%s The stated rate, %g Hz, is used.", doubt, stated_hz)
    return TableRate(stated_hz if column.time_name.plain or not doubt else None)


def _match_stated_rate(column: Times, stated_hz: float, context: Context) -> TableRate:
    """Find the unit in which times without a unit match the stated rate."""
    values = column.values
    step = mean_sampling_interval(values, context.where, context.describe_row)
    is_integer = _are_integers(values)
    no_rounding = np.zeros(len(values))
    rounding = 0.5 * printed_resolution(values)
    rounding = rounding if rounding.min() < 0.25 * step else no_rounding
    for unit in ("ms", "us", "ns", "min", "h", "d"):
        expected_step = 1.0 / (stated_hz * SECONDS[unit])
        if (
            abs(step - expected_step) <= 0.01 * expected_step
            and find_off_grid(values, expected_step, rounding) is None
        ):
            return TableRate(stated_hz)
    if is_integer and find_off_grid(values, 1.0, no_rounding) is None:
        # Sample numbers do not determine the rate.
        return TableRate(stated_hz)
    rate_hz = uniform_rate_hz(values, context.where, stated_hz, context.describe_row)
    if is_integer or not column.time_name.seconds:
        _reject_other_rate(rate_hz, stated_hz, RATE_TOLERANCE, column, context)
    return TableRate(rate_hz)


def _are_integers(values: np.ndarray) -> bool:
    offsets = values - values[0]
    return bool((np.abs(offsets - np.round(offsets)) < 1e-9).all())


def _reject_other_rate(
    rate_hz: float, stated_hz: float, tolerance: float, column: Times, context: Context
) -> None:
    if abs(rate_hz - stated_hz) > tolerance * rate_hz:
        unit = NAMES[column.unit] if column.unit else "seconds"
        raise DataError(
            f"{context.where} has {rate_hz:g} samples per second by its column {column.name!r}, "
            f"read as {unit}, but the manifest or its header states {stated_hz:g}; correct "
            "'sampling_rate_hz' or omit it, or put the unit into the column name, such as "
            "'time_ms'."
        )


def _check_plausible(rate_hz: float, column: Times, context: Context) -> None:
    reading = f"read as {NAMES[column.unit or 's']}"
    step = 1.0 / rate_hz / SECONDS[column.unit or "s"]
    check_rate(
        rate_hz,
        context.channels,
        f"{context.where}, column {column.name!r}, {reading}",
        f"Its steps of {step:.6g} are {format_rate_candidates(step)}. If the unit is different, "
        "put it into the column name, such as 'time_ms', or list the right 'channels' in a "
        "manifest.",
    )


def _reject_two_rates(
    first: tuple[Times, float], second: tuple[Times, float], context: Context
) -> None:
    if abs(first[1] - second[1]) > 0.01 * first[1]:
        raise DataError(
            f"{context.where} has {first[1]:g} samples per second by its column {first[0].name!r} "
            f"and {second[1]:g} by {second[0].name!r}; remove the wrong one from the file, or put "
            "the unit into both column names, such as 'time_ms'."
        )


def _ask_integer_unit(column: Times, step: float) -> str:
    units = ["s", "ms"] if step < 100 else ["ms", "us", "ns"]
    return _ask_unit(column, f"integer steps of {step:g}", step, units, ", or a number of samples")


def _ask_unit(column: Times, steps: str, step: float, units: Sequence[str], more: str = "") -> str:
    units = list(dict.fromkeys(["s", *units]))
    return (
        f"its column {column.name!r} has {steps} and no unit, which is "
        f"{format_rate_candidates(step, units)}{more}; put the unit into the column name, such as "
        "'time_s' or 'time_ms', or state the rate"
    )


def to_float32(values: np.ndarray) -> np.ndarray:
    """Convert samples to float32.

    Values out of range become infinite and are reported by the checks.
    """
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
