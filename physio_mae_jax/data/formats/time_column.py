"""Rules for tables of samples that CSV and parquet share: which columns are time, and its rate.

A time column in seconds (``Time [s]``, ``time``, ``t``, ``timestamp`` ...) gives the rate and must
be uniform; a time column of another unit is left out, as are columns without a name.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.layout import RATE_TOLERANCE, UnreadableError, pick_channels
from physio_mae_jax.data.formats.manifest import Entry
from physio_mae_jax.data.source import LEAST_RATE_HZ
from physio_mae_jax.errors import DataError

_SECONDS = re.compile(
    r"(?:(?i:time|timestamps?|seconds?)|t)[ _]*(?:[\[(]?(?i:s|secs?|seconds?)[\])]?)?"
)
_OTHER_TIME = re.compile(r"(?i:time|timestamps?)(?![a-zA-Z]).*|t[ _]*[\[(]?(?:ms|us|µs|ns)[\])]?")
# Seconds since 1970 are below 2e9; beyond this a float has too few digits left for samples.
_LATEST_S = 1e12
_SHORTEST_STEP_S = 1e-9


def time_and_channels(
    header: Sequence[str], entry: Entry, path: Path
) -> tuple[int | None, tuple[int, ...]]:
    """Tell the columns of a table apart by their names.

    Args:
        header: names of all columns, '' for those that are to be left out.
        entry: the manifest entry, which may choose channels.
        path: of the table, for messages.

    Returns:
        Index of the time column in seconds, None where there is none, and those of the channels
        that the entry asks for.

    Raises:
        DataError: there is no channel, or a wanted one is missing.
    """
    times = [i for i, name in enumerate(header) if _SECONDS.fullmatch(name)]
    left_out = {i for i, name in enumerate(header) if _OTHER_TIME.fullmatch(name) or not name}
    columns = [i for i in range(len(header)) if i not in left_out and i not in times]
    if not columns:
        raise DataError(f"{path} has no channels; its columns are {', '.join(header)}.")
    _, picked = pick_channels(entry, [header[i] for i in columns], str(path))
    return (times[0] if times else None), tuple(columns[i] for i in picked)


def float32(values: np.ndarray) -> np.ndarray:
    """Return samples as float32; what is beyond becomes infinite, for the checks to report."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _csv_line(index: int) -> str:
    return f"line {index + 2}"


def uniform_rate_hz(
    times_s: np.ndarray,
    where: str,
    stated_hz: float | None = None,
    place: Callable[[int], str] = _csv_line,
) -> float:
    """Infer the sampling rate from a column of times.

    Every time must lie on the grid of one rate within 1e-3 of a step, besides the rounding of
    its printed digits. Rounding may exceed a step: BIDMC prints five digits, so that from 100 s
    on 125 Hz reads 100.00, 100.01, 100.02, 100.02. It does not add up as a lost sample does.

    Args:
        times_s: [n] seconds, n of at least two.
        where: what the file is called in an error.
        stated_hz: the rate by the manifest, tried first.
        place: words the place of the sample with an index in the file, such as 'line 2'.

    Returns:
        Samples a second: the stated rate or a whole number where the times lie on its grid, else
        the mean rate.

    Raises:
        UnreadableError: a time is missing, or the times are not uniform.
    """
    if not np.isfinite(times_s).all():
        missing = place(int(np.argmin(np.isfinite(times_s))))
        raise UnreadableError(f"{where}, {missing}: the time column has no number there.")
    latest = int(np.argmax(np.abs(times_s)))
    if abs(times_s[latest]) > _LATEST_S:
        raise UnreadableError(
            f"{where}, {place(latest)}: the time column reads {times_s[latest]:g}; seconds, at "
            f"most {_LATEST_S:g}, are expected."
        )
    num_steps = len(times_s) - 1
    mean_step_s = float(times_s[-1] - times_s[0]) / num_steps
    if mean_step_s < _SHORTEST_STEP_S:
        raise UnreadableError(f"{where}: the times do not ascend, but end at {times_s[-1]:g} s.")
    if stated_hz is None and mean_step_s > 1 / LEAST_RATE_HZ:
        raise UnreadableError(
            f"{where}: the times are taken for seconds, and are {mean_step_s:.6g} s apart, which "
            f"is {1 / mean_step_s:.6g} samples a second. Are they milliseconds or microseconds? "
            "Write them in seconds, or state 'sampling_rate_hz' in a manifest and name the column "
            "by its unit, such as 'time_ms'."
        )
    rounding_s = 0.5 * _printed_resolution(times_s)
    if stated_hz is not None and _off_grid(times_s, 1.0 / stated_hz, rounding_s) is None:
        return stated_hz
    if rounding_s.min() >= 0.25 * mean_step_s:
        # Digits as coarse as the steps could hide a lost sample (0.1, 0.2, 0.4 may be 7.5 Hz), so
        # without a stated rate they are taken at their word.
        rounding_s = np.zeros_like(rounding_s)
    mean_hz = 1.0 / mean_step_s
    whole_hz = float(round(mean_hz))
    if whole_hz > 0 and _off_grid(times_s, 1.0 / whole_hz, rounding_s) is None:
        return whole_hz
    # Its ends are rounded too. Half a step at most, or a lost sample would pass.
    bound_s = np.minimum(rounding_s + rounding_s[-1], 0.49 * mean_step_s)
    worst = _off_grid(times_s, mean_step_s, bound_s)
    if worst is None:
        return mean_hz
    raise UnreadableError(
        f"{where}, {place(worst)}: the time column is not uniform; from its first time on it reads "
        f"{times_s[worst] - times_s[0]:.9g} s where {mean_hz:.6g} samples a second, its mean, "
        f"would be at {worst * mean_step_s:.9g} s. Resample the file to a uniform grid, fill "
        "gaps, or split it at them; if the times are only printed coarsely, state their "
        "'sampling_rate_hz' in a manifest."
    )


def _off_grid(times_s: np.ndarray, step_s: float, rounding_s: np.ndarray) -> int | None:
    """Return the index of the time farthest off the grid, None if all are on it."""
    offset_s = times_s - times_s[0] - np.arange(len(times_s)) * step_s
    bound_s = rounding_s * 1.001 + RATE_TOLERANCE * step_s
    # The first time is rounded as well, so the grid may start anywhere that suits all times.
    start_s = 0.5 * ((offset_s - bound_s).max() + (offset_s + bound_s).min())
    excess_s = np.abs(offset_s - start_s) - bound_s
    worst = int(np.argmax(excess_s))
    return worst if excess_s[worst] > 0 else None


def _printed_resolution(times_s: np.ndarray) -> np.ndarray:
    """Return the worth of the last printed digit of each time, [n] seconds.

    Programs print a fixed number of decimals or of significant digits; either is recognised by
    all times being whole multiples of their last digit.
    """
    size = np.maximum(np.abs(times_s), np.finfo(float).tiny)
    exponent = np.where(times_s == 0, -np.inf, np.floor(np.log10(size)))
    fixed = significant = np.zeros(len(times_s))
    for decimals in range(10):
        if _are_multiples(times_s, np.full(len(times_s), 10.0**-decimals)):
            fixed = np.full(len(times_s), 10.0**-decimals)
            break
    for digits in range(1, 13):
        last = 10.0 ** np.where(np.isinf(exponent), 0.0, exponent - digits + 1)
        if _are_multiples(times_s, last):
            significant = np.where(np.isinf(exponent), 0.0, last)
            break
    coarser = significant > fixed
    # A few round numbers prove nothing: 0.98, 0.99, 1 has two decimals rather than two digits.
    return np.where(coarser, significant, fixed) if coarser.sum() >= 20 else fixed


def _are_multiples(values: np.ndarray, unit: np.ndarray) -> bool:
    scaled = values / unit
    # Beyond 1e12 a float has too few digits left to tell.
    return bool((np.abs(scaled) < 1e12).all() and (np.abs(scaled - np.round(scaled)) < 1e-2).all())
