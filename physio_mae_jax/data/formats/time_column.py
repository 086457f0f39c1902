"""The sampling rate of a table by its time columns: which of them determines it, in which unit.

A unit is given by the name of the column, the type of its values (dates, clocks, timestamps), or
what only one unit can be (a number of milliseconds since 1970). Of a column without one, seconds
are taken where they give a rate that recorders have; whole numbers may as well be milliseconds or
numbers of samples, and what reads as 7500 Hz may be 125 Hz in minutes: that is asked.
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
    epoch_unit,
    format_readings,
    is_usual,
    plausible_readings,
)
from physio_mae_jax.data.formats.uniform_times import (
    mean_step_of,
    off_grid,
    printed_resolution,
    uniform_rate_hz,
)
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.rates import check_rate

_LOG = logging.getLogger(__name__)
# Clocks of devices run fast or slow by less; a pause of a twentieth of the recording is no jitter.
_CLOCK_TOLERANCE = 0.05
_COUNTS = ("s", "ms", "us", "ns")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Times:
    """A column of times.

    Attributes:
        name: Column name, for messages.
        values: Times [n] in the unit of the column; NaN where missing.
        unit: Key of ``SECONDS``; None where it is not known.
        origin: First value, where ``values`` are relative to it.
        said: Meaning of its name.
        error: Why it cannot be read; empty where it can.
    """

    name: str
    values: np.ndarray
    unit: str | None
    said: TimeName
    origin: float | None = None
    error: str = ""


@dataclasses.dataclass(frozen=True)
class TableRate:
    """The rate of a table.

    Attributes:
        rate_hz: Sampling rate in Hz; None where the times do not determine it.
        question: Point about the times that a manifest has to settle; empty where there is none.
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
        stated_hz: Rate in Hz by the manifest, else by the head of the file; None where neither
            states one.
    """

    where: str
    describe_row: Callable[[int], str]
    channels: Sequence[str] = ()
    stated_hz: float | None = None


def rate_of_table(columns: Sequence[Times], context: Context) -> TableRate:
    """Infer the rate of a table from its columns of times.

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
    timed = [column for column in map(_with_epoch, columns) if len(column.values) > 1]
    timed.sort(key=lambda column: (not column.said.plain, column.unit is None))
    found: tuple[Times, float] | None = None
    errors: list[UnreadableError] = []
    questions: list[str] = []
    for column in timed:
        if found is not None and (column.unit is None or column.error):
            continue
        try:
            rate = _rate_of(column, context)
        except UnreadableError as error:
            if column.said.plain:
                errors.append(error)
            else:
                questions.append(f"its column {column.name!r} gives none: {error}")
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


def _with_epoch(column: Times) -> Times:
    """Give a column without a unit the one of a time since 1970, where it is one."""
    if column.unit is not None or column.error or not len(column.values):
        return column
    first = column.values[0] if column.origin is None else column.origin
    unit = epoch_unit(float(first)) if np.isfinite(first) else None
    return dataclasses.replace(column, unit=unit) if unit else column


def _rate_of(column: Times, context: Context) -> TableRate:
    if context.stated_hz is not None and not column.said.seconds:
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
        # The caller that knows the stated rate compares it, with a message for its source.
        _check_plausible(rate_hz, column, context)
        return TableRate(rate_hz)
    if context.stated_hz is not None:
        return _stated_reading(column, context.stated_hz, context)
    return _unitless_rate(column, context)


def _unitless_rate(column: Times, context: Context) -> TableRate:
    """Infer the rate from times without a unit, or ask for the unit."""
    step = mean_step_of(column.values, context.where, context.describe_row)
    if _are_integers(column.values):
        exact = off_grid(column.values, step, np.zeros(len(column.values))) is None
        if not exact and not column.said.plain:
            raise UnreadableError(f"{context.where}: column {column.name!r} is not uniform.")
        return TableRate(None, _whole_question(column, step))
    rate_hz = uniform_rate_hz(column.values, context.where, None, context.describe_row)
    _check_plausible(rate_hz, column, context)
    if not is_usual(rate_hz, context.channels):
        others = plausible_readings(step, context.channels, ("ms", "us", "ns", "min", "h", "d"))
        usual = [unit for unit, hz in others.items() if is_usual(hz, context.channels)]
        if usual:
            return TableRate(None, _question(column, f"a mean step of {step:g}", step, usual))
    return TableRate(rate_hz)


def _check_against_stated(column: Times, stated_hz: float, context: Context) -> TableRate:
    """Check times against a stated rate, which counts where they are merely not uniform."""
    if column.unit is None and not column.said.plain:
        return TableRate(None)
    doubt = column.error
    try:
        if not doubt:
            if column.unit is None:
                return _stated_reading(column, stated_hz, context)
            step = mean_step_of(column.values, context.where, context.describe_row)
            mean_hz = 1.0 / (step * SECONDS[column.unit])
            if column.said.plain:
                _reject_other_rate(mean_hz, stated_hz, _CLOCK_TOLERANCE, column, context)
            rate_hz = uniform_rate_hz(
                column.values, context.where, stated_hz, context.describe_row, SECONDS[column.unit]
            )
            _reject_other_rate(rate_hz, stated_hz, _CLOCK_TOLERANCE, column, context)
            if abs(rate_hz - stated_hz) > RATE_TOLERANCE * rate_hz:
                doubt = f"{context.where}: {rate_hz:g} samples a second by {column.name!r}."
    except UnreadableError as error:
        doubt = str(error)
    if doubt and column.said.plain:
        _LOG.warning("%s The stated rate, %g Hz, is used.", doubt, stated_hz)
    return TableRate(stated_hz if column.said.plain or not doubt else None)


def _stated_reading(column: Times, stated_hz: float, context: Context) -> TableRate:
    """Find the unit in which times without one have the stated rate."""
    values = column.values
    step = mean_step_of(values, context.where, context.describe_row)
    whole = _are_integers(values)
    none = np.zeros(len(values))
    rounding = 0.5 * printed_resolution(values)
    rounding = rounding if rounding.min() < 0.25 * step else none
    for unit in ("ms", "us", "ns", "min", "h", "d"):
        wanted = 1.0 / (stated_hz * SECONDS[unit])
        if abs(step - wanted) <= 0.01 * wanted and off_grid(values, wanted, rounding) is None:
            return TableRate(stated_hz)
    if whole and off_grid(values, 1.0, none) is None:
        # Sample numbers, which do not determine the rate.
        return TableRate(stated_hz)
    rate_hz = uniform_rate_hz(values, context.where, stated_hz, context.describe_row)
    if whole or not column.said.seconds:
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
            f"{context.where} has {rate_hz:g} samples a second by its column {column.name!r}, "
            f"taken for {unit}, but the manifest or its own head states {stated_hz:g}; correct "
            "'sampling_rate_hz' or omit it, or name the column by its unit, such as "
            "'time_ms'."
        )


def _check_plausible(rate_hz: float, column: Times, context: Context) -> None:
    taken = f"taken for {NAMES[column.unit or 's']}"
    step = 1.0 / rate_hz / SECONDS[column.unit or "s"]
    check_rate(
        rate_hz,
        context.channels,
        f"{context.where}, column {column.name!r}, {taken}",
        f"Its steps of {step:.6g} are {format_readings(step)}. If the unit is another one, name "
        "the column by it, such as 'time_ms', or list the right 'channels' in a manifest.",
    )


def _reject_two_rates(
    first: tuple[Times, float], second: tuple[Times, float], context: Context
) -> None:
    if abs(first[1] - second[1]) > 0.01 * first[1]:
        raise DataError(
            f"{context.where} has {first[1]:g} samples a second by its column {first[0].name!r} "
            f"and {second[1]:g} by {second[0].name!r}; remove the wrong one from the file, or name "
            "both by their units, such as 'time_ms'."
        )


def _whole_question(column: Times, step: float) -> str:
    units = ["s", "ms"] if step < 100 else ["ms", "us", "ns"]
    return _question(column, f"whole steps of {step:g}", step, units, ", or a number of samples")


def _question(column: Times, steps: str, step: float, units: Sequence[str], more: str = "") -> str:
    units = list(dict.fromkeys(["s", *units]))
    return (
        f"its column {column.name!r} has {steps} and no unit, which is "
        f"{format_readings(step, units)}{more}; name the column by its unit, such as 'time_s' or "
        "'time_ms', or state the rate"
    )


def float32(values: np.ndarray) -> np.ndarray:
    """Return samples as float32; what is beyond becomes infinite, for the checks to report."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
