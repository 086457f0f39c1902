"""The sampling rate of uniform times that are rounded to their printed digits."""

from collections.abc import Callable

import numpy as np

from physio_mae_jax.data.formats.file_facts import RATE_TOLERANCE, UnreadableError

# Seconds since 1970 are below 2e9; beyond 1e12 a float cannot resolve samples.
_LATEST_S = 1e12
_SHORTEST_STEP_S = 1e-9
# Larger times are since 1970 rather than since the start of a recording.
_FAR = 1e8
# Times compared with a grid at a time: arrays that fit the processor's cache.
_PIECE = 2**15


def format_csv_line(index: int) -> str:
    """Format the position of a sample in a table whose first line is its header."""
    return f"line {index + 2}"


def uniform_rate_hz(
    times: np.ndarray,
    where: str,
    stated_hz: float | None = None,
    describe_row: Callable[[int], str] = format_csv_line,
    unit_s: float = 1.0,
) -> float:
    """Infer the sampling rate from a time column.

    Every time must lie on a uniform grid within 1e-3 of a step plus the rounding of its printed
    digits. Rounding may exceed a step: BIDMC prints five digits, so from 100 s on, 125 Hz reads
    100.00, 100.01, 100.02, 100.02. Unlike a lost sample, rounding does not accumulate.

    Args:
        times: Times [n] in units of ``unit_s``, n >= 2.
        where: Name of the file in error messages.
        stated_hz: Rate in Hz from the manifest, tried first.
        describe_row: Formats the position of a sample index in the file, such as 'line 2'.
        unit_s: Seconds in a unit.

    Returns:
        Rate in Hz: the stated rate, or an integer rate, if the times lie on its grid; otherwise
        the mean rate.

    Raises:
        UnreadableError: a time is missing, or the times are not uniform.
    """
    mean_step = mean_sampling_interval(times, where, describe_row, unit_s)
    # Times of full precision need no search for their printed digits, which takes most of the time.
    likely_hz = stated_hz or float(round(1.0 / (mean_step * unit_s)))
    if likely_hz > 0 and _is_exact_grid(times, 1.0 / (likely_hz * unit_s)):
        return likely_hz
    rounding = 0.5 * printed_resolution(times)
    if stated_hz is not None and find_off_grid(times, 1.0 / (stated_hz * unit_s), rounding) is None:
        return stated_hz
    if rounding.min() >= 0.25 * mean_step:
        # Rounding as coarse as the steps could hide a lost sample (0.1, 0.2, 0.4 may be 7.5 Hz),
        # so without a stated rate the printed times are taken as exact.
        rounding = np.zeros_like(rounding)
    mean_hz = 1.0 / (mean_step * unit_s)
    whole_hz = float(round(mean_hz))
    if whole_hz > 0 and find_off_grid(times, 1.0 / (whole_hz * unit_s), rounding) is None:
        return whole_hz
    # Both ends of the mean are rounded too; the bound stays below half a step to detect lost
    # samples.
    bound = np.minimum(rounding + rounding[-1], 0.49 * mean_step)
    worst = find_off_grid(times, mean_step, bound)
    if worst is None:
        return mean_hz
    raise UnreadableError(
        f"{where}, {describe_row(worst)}: the time column is not uniform; relative to the first "
        f"time it reads {times[worst] - times[0]:.9g}, but equal steps of {mean_step:.6g}, the "
        f"mean ({mean_hz:.6g} samples per second), would give {worst * mean_step:.9g}. Resample "
        "the file "
        "to a uniform grid, fill the gaps, or split it there; if the times are only coarsely "
        "rounded, state 'sampling_rate_hz' in a manifest."
    )


def mean_sampling_interval(
    times: np.ndarray, where: str, describe_row: Callable[[int], str], unit_s: float = 1.0
) -> float:
    """Return the mean sampling interval, in the unit of the times.

    Raises:
        UnreadableError: a time is missing or out of range, or the times do not increase.
    """
    if not np.isfinite(times).all():
        missing = describe_row(int(np.argmin(np.isfinite(times))))
        raise UnreadableError(f"{where}, {missing}: the time column has no number.")
    latest = max((int(np.argmin(times)), int(np.argmax(times))), key=lambda i: abs(times[i]))
    if abs(times[latest]) * unit_s > _LATEST_S:
        raise UnreadableError(
            f"{where}, {describe_row(latest)}: the time column reads {times[latest]:g}; seconds, "
            f"at most {_LATEST_S:g}, are expected."
        )
    mean_step = float(times[-1] - times[0]) / (len(times) - 1)
    if mean_step * unit_s < _SHORTEST_STEP_S:
        raise UnreadableError(f"{where}: the times do not increase; the last one is {times[-1]:g}.")
    return mean_step


def find_off_grid(times: np.ndarray, step: float, rounding: np.ndarray) -> int | None:
    """Return the index of the time farthest off the grid; None if all are on it."""
    offset = times - times[0] - np.arange(len(times)) * step
    bound = rounding * 1.001 + RATE_TOLERANCE * step
    # The first time is rounded too, so the origin of the grid is fitted to all times.
    start = 0.5 * ((offset - bound).max() + (offset + bound).min())
    excess = np.abs(offset - start) - bound
    worst = int(np.argmax(excess))
    return worst if excess[worst] > 0 else None


def _is_exact_grid(times: np.ndarray, step: float) -> bool:
    """Return whether ``find_off_grid`` finds no time off the grid, if none is rounded."""
    lowest, highest = np.inf, -np.inf
    for first in range(0, len(times), _PIECE):
        part = times[first : first + _PIECE]
        offset = part - times[0] - np.arange(first, first + len(part)) * step
        lowest, highest = min(lowest, offset.min()), max(highest, offset.max())
    return bool(highest - lowest <= 2 * RATE_TOLERANCE * step)


def printed_resolution(times: np.ndarray) -> np.ndarray:
    """Return the decimal unit of the last printed digit of each time, [n].

    Programs print a fixed number of decimals or of significant digits; either is detected by
    all times being integer multiples of their last digit.
    """
    if abs(times[0]) >= _FAR:
        # Removes the common offset, which would use up the digits of a float.
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
    # A few round numbers are not enough: 0.98, 0.99, 1 has two decimals rather than two digits.
    return np.where(coarser, significant, fixed) if coarser.sum() >= 20 else fixed


def _are_multiples(values: np.ndarray, unit: np.ndarray) -> bool:
    scaled = values / unit
    # Beyond 1e12 a float has too few digits left.
    return bool((np.abs(scaled) < 1e12).all() and (np.abs(scaled - np.round(scaled)) < 1e-2).all())
