"""The sampling rate of uniform times, through the rounding of their printed digits."""

from collections.abc import Callable

import numpy as np

from physio_mae_jax.data.formats.file_facts import RATE_TOLERANCE, UnreadableError

# Seconds since 1970 are below 2e9; beyond this a float has too few digits left for samples.
_LATEST_S = 1e12
_SHORTEST_STEP_S = 1e-9
# Times since 1970 rather than since the start of a recording.
_FAR = 1e8


def csv_line(index: int) -> str:
    """Return the position of a sample in a table whose header is its first line."""
    return f"line {index + 2}"


def uniform_rate_hz(
    times: np.ndarray,
    where: str,
    stated_hz: float | None = None,
    describe_row: Callable[[int], str] = csv_line,
    unit_s: float = 1.0,
) -> float:
    """Infer the sampling rate from a column of times.

    Every time must lie on the grid of one rate within 1e-3 of a step, besides the rounding of
    its printed digits. Rounding may exceed a step: BIDMC prints five digits, so that from 100 s
    on 125 Hz reads 100.00, 100.01, 100.02, 100.02. It does not add up as a lost sample does.

    Args:
        times: Times [n] in units of ``unit_s``, n >= 2.
        where: Name of the file in error messages.
        stated_hz: Rate in Hz by the manifest, tried first.
        describe_row: Formats the position of a sample index in the file, such as 'line 2'.
        unit_s: Seconds in a unit.

    Returns:
        Samples a second: the stated rate or a whole number where the times lie on its grid, else
        the mean rate.

    Raises:
        UnreadableError: a time is missing, or the times are not uniform.
    """
    mean_step = mean_step_of(times, where, describe_row, unit_s)
    rounding = 0.5 * printed_resolution(times)
    if stated_hz is not None and off_grid(times, 1.0 / (stated_hz * unit_s), rounding) is None:
        return stated_hz
    if rounding.min() >= 0.25 * mean_step:
        # Digits as coarse as the steps could hide a lost sample (0.1, 0.2, 0.4 may be 7.5 Hz), so
        # without a stated rate they are taken literally.
        rounding = np.zeros_like(rounding)
    mean_hz = 1.0 / (mean_step * unit_s)
    whole_hz = float(round(mean_hz))
    if whole_hz > 0 and off_grid(times, 1.0 / (whole_hz * unit_s), rounding) is None:
        return whole_hz
    # Its ends are rounded too. Half a step at most, or a lost sample would pass.
    bound = np.minimum(rounding + rounding[-1], 0.49 * mean_step)
    worst = off_grid(times, mean_step, bound)
    if worst is None:
        return mean_hz
    raise UnreadableError(
        f"{where}, {describe_row(worst)}: the time column is not uniform; from its first time on "
        "it reads "
        f"{times[worst] - times[0]:.9g} where equal steps of {mean_step:.6g}, their mean "
        f"({mean_hz:.6g} samples a second), would be at {worst * mean_step:.9g}. Resample the file "
        "to a uniform grid, fill gaps, or split it at them; if the times are only printed "
        "coarsely, state their 'sampling_rate_hz' in a manifest."
    )


def mean_step_of(
    times: np.ndarray, where: str, describe_row: Callable[[int], str], unit_s: float = 1.0
) -> float:
    """Return the mean step of times, in their unit.

    Raises:
        UnreadableError: a time is missing or out of bounds, or they do not ascend.
    """
    if not np.isfinite(times).all():
        missing = describe_row(int(np.argmin(np.isfinite(times))))
        raise UnreadableError(f"{where}, {missing}: the time column has no number there.")
    latest = int(np.argmax(np.abs(times)))
    if abs(times[latest]) * unit_s > _LATEST_S:
        raise UnreadableError(
            f"{where}, {describe_row(latest)}: the time column reads {times[latest]:g}; seconds, "
            f"at most {_LATEST_S:g}, are expected."
        )
    mean_step = float(times[-1] - times[0]) / (len(times) - 1)
    if mean_step * unit_s < _SHORTEST_STEP_S:
        raise UnreadableError(f"{where}: the times do not ascend, but end at {times[-1]:g}.")
    return mean_step


def off_grid(times: np.ndarray, step: float, rounding: np.ndarray) -> int | None:
    """Return the index of the time farthest off the grid, None if all are on it."""
    offset = times - times[0] - np.arange(len(times)) * step
    bound = rounding * 1.001 + RATE_TOLERANCE * step
    # The first time is rounded as well, so the grid may start anywhere that suits all times.
    start = 0.5 * ((offset - bound).max() + (offset + bound).min())
    excess = np.abs(offset - start) - bound
    worst = int(np.argmax(excess))
    return worst if excess[worst] > 0 else None


def printed_resolution(times: np.ndarray) -> np.ndarray:
    """Return the worth of the last printed digit of each time, [n].

    Programs print a fixed number of decimals or of significant digits; either is recognised by
    all times being whole multiples of their last digit.
    """
    if abs(times[0]) >= _FAR:
        # The digits before the point are the same for all, and would be all that a float has.
        times = times - np.floor(times[0])
    size = np.maximum(np.abs(times), np.finfo(float).tiny)
    exponent = np.where(times == 0, -np.inf, np.floor(np.log10(size)))
    fixed = significant = np.zeros(len(times))
    for decimals in range(10):
        if _are_multiples(times, np.full(len(times), 10.0**-decimals)):
            fixed = np.full(len(times), 10.0**-decimals)
            break
    for digits in range(1, 13):
        last = 10.0 ** np.where(np.isinf(exponent), 0.0, exponent - digits + 1)
        if _are_multiples(times, last):
            significant = np.where(np.isinf(exponent), 0.0, last)
            break
    coarser = significant > fixed
    # A few round numbers prove nothing: 0.98, 0.99, 1 has two decimals rather than two digits.
    return np.where(coarser, significant, fixed) if coarser.sum() >= 20 else fixed


def _are_multiples(values: np.ndarray, unit: np.ndarray) -> bool:
    scaled = values / unit
    # Beyond 1e12 a float has too few digits left.
    return bool((np.abs(scaled) < 1e12).all() and (np.abs(scaled - np.round(scaled)) < 1e-2).all())
