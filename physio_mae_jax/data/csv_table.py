"""Reading .csv recordings: a header line with channel names, then one line a sample.

The delimiter is whichever of comma, semicolon and tab the header has most of. A time column in
seconds (``Time [s]``, ``time``, ``t``, ``timestamp`` ...) gives the rate and must be uniform; a
time column of another unit is left out. Empty cells are NaN; empty lines at the end are left out.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.layout import (
    RATE_TOLERANCE,
    FileFacts,
    UnreadableError,
    naming,
    pick_channels,
)
from physio_mae_jax.data.manifest import Entry
from physio_mae_jax.errors import DataError

_SECONDS = re.compile(
    r"(?:(?i:time|timestamps?|seconds?)|t)[ _]*(?:[\[(]?(?i:s|secs?|seconds?)[\])]?)?"
)
_OTHER_TIME = re.compile(r"(?i:time|timestamps?)\b.*")
_EXPECTED = "a table of numbers with a line of column names"
# pandas and csv raise subclasses of ValueError for text, ragged lines and undecodable bytes.
_ERRORS = (OSError, ValueError, csv.Error, OverflowError)


def probe_csv(path: Path, entry: Entry) -> FileFacts:
    """Describe a CSV file; its rate and length are known only by reading all of it.

    Args:
        path: the file.
        entry: its manifest entry; of the columns only those it asks for have to be numbers.

    Raises:
        UnreadableError: a cell is text, a line has other columns than the header, or the times
            are not uniform.
        DataError: there is no header, or a wanted column is missing.
    """
    with naming(path, _EXPECTED, _ERRORS):
        header, _ = _header(path)
    times = [i for i, name in enumerate(header) if _SECONDS.fullmatch(name)]
    left_out = {i for i, name in enumerate(header) if _OTHER_TIME.fullmatch(name) or not name}
    columns = [i for i in range(len(header)) if i not in left_out and i not in times]
    if not columns:
        raise DataError(f"{path} has no channels; its columns are {', '.join(header)}.")
    names = [header[i] for i in columns]
    _, picked = pick_channels(entry, names, str(path))
    columns = [columns[i] for i in picked]
    table = _read_columns(path, [*times[:1], *columns])
    rate = None
    if times and len(table) > 1:
        rate = uniform_rate_hz(table[:, 0], str(path), entry.sampling_rate_hz)
    return FileFacts(
        shape=(len(table), len(columns)),
        axes=("sample", "channel"),
        channels=tuple(header[i] for i in columns),
        sampling_rate_hz=rate,
        csv_columns=tuple(columns),
        loaded_bytes=4 * len(table) * len(columns),
    )


def load_csv(path: Path, columns: Sequence[int]) -> np.ndarray:
    """Read some columns of a CSV file as float32 [num_samples, len(columns)].

    Raises:
        UnreadableError: as ``probe_csv``.
    """
    return _float32(_read_columns(path, columns))


def uniform_rate_hz(times_s: np.ndarray, where: str, stated_hz: float | None = None) -> float:
    """Infer the sampling rate from a column of times.

    Every time must lie on the grid of one rate within 1e-3 of a step, besides the rounding of
    its printed digits. Rounding may exceed a step: BIDMC prints five digits, so that from 100 s
    on 125 Hz reads 100.00, 100.01, 100.02, 100.02. It does not add up as a lost sample does.

    Args:
        times_s: [n] seconds, n of at least two.
        where: what the file is called in an error.
        stated_hz: the rate by the manifest, tried first.

    Returns:
        Samples a second: the stated rate or a whole number where the times lie on its grid, else
        the mean rate.

    Raises:
        UnreadableError: a time is missing, or the times are not uniform.
    """
    if not np.isfinite(times_s).all():
        line = int(np.argmin(np.isfinite(times_s))) + 2
        raise UnreadableError(f"{where}, line {line}: the time column has no number there.")
    num_steps = len(times_s) - 1
    mean_step_s = float(times_s[-1] - times_s[0]) / num_steps
    if mean_step_s <= 0:
        raise UnreadableError(f"{where}: the times do not ascend, but end at {times_s[-1]:g} s.")
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
        f"{where}, line {worst + 2}: the time column is not uniform; it reads "
        f"{times_s[worst]:.9g} s where {mean_hz:.6g} samples a second, its mean, would be at "
        f"{times_s[0] + worst * mean_step_s:.9g} s. Resample the file to a uniform grid, fill "
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


def _header(path: Path) -> tuple[list[str], str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(1_000_000)
    if not line.strip():
        raise UnreadableError(f"{path} is empty or starts with an empty line; a header is needed.")
    delimiter = max(",;\t", key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    if all(_is_number(name) for name in names):
        raise DataError(
            f"{path} starts with numbers ({line.strip()[:60]}); add a first line with the names "
            'of the columns, such as "time,II,PPG".'
        )
    return names, delimiter


def _read_columns(path: Path, columns: Sequence[int]) -> np.ndarray:
    import pandas  # Half a second, paid by those who have CSV files.

    with naming(path, _EXPECTED, _ERRORS):
        header, delimiter = _header(path)
        options = {
            "sep": delimiter,
            "header": None,
            "skiprows": 1,
            # A skipped line would be a sample lost without a word.
            "skip_blank_lines": False,
            "encoding": "utf-8-sig",
            "low_memory": False,
        }
        try:
            # All columns are parsed, or pandas would not notice lines that have too many.
            frame = pandas.read_csv(path, dtype=dict.fromkeys(columns, np.float64), **options)
        except pandas.errors.EmptyDataError:
            return np.zeros((0, len(columns)))
        except ValueError as error:
            if isinstance(error, pandas.errors.ParserError | UnicodeError):
                raise
            text = pandas.read_csv(path, dtype=str, keep_default_na=False, **options)
            _point_at_text(path, header, text.to_numpy(), columns)
            raise
        if frame.shape[1] != len(header):
            raise UnreadableError(
                f"{path}: the header names {len(header)} columns ({', '.join(header)[:200]}), the "
                f"lines below have {frame.shape[1]}."
            )
        return _without_empty_end(frame[list(columns)].to_numpy(dtype=np.float64))


def _without_empty_end(table: np.ndarray) -> np.ndarray:
    filled = np.flatnonzero(~np.isnan(table).all(axis=1))
    # All NaN is kept for the check to report, rather than passed off as an empty file.
    return table[: filled[-1] + 1] if len(filled) else table


def _point_at_text(
    path: Path, header: Sequence[str], cells: np.ndarray, columns: Sequence[int]
) -> None:
    for column in (c for c in columns if c < min(cells.shape[1], len(header))):
        for row, cell in enumerate(cells[:, column]):
            if isinstance(cell, str) and cell.strip() and not _is_number(cell):
                raise UnreadableError(
                    f"{path}, line {row + 2}: column {header[column]!r} has {cell.strip()[:40]!r} "
                    "where a number is expected. Leave the cell empty for a missing sample, or "
                    "list the columns to use in the manifest's 'channels'."
                )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _float32(values: np.ndarray) -> np.ndarray:
    # Beyond float32 becomes infinite, which the check of the recordings reports.
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
