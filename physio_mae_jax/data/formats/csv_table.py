"""Reading .csv recordings: a header line with channel names, then one line a sample.

The delimiter is whichever of comma, semicolon and tab the header has most of. ``time_column`` says
what becomes of columns of time. Empty cells are NaN; empty lines at the end are left out.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.layout import FileFacts, UnreadableError, naming
from physio_mae_jax.data.formats.manifest import Entry
from physio_mae_jax.data.formats.time_column import float32, time_and_channels, uniform_rate_hz
from physio_mae_jax.errors import DataError

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
    time, columns = time_and_channels(header, entry, path)
    table = _read_columns(path, [*([] if time is None else [time]), *columns])
    rate = None
    if time is not None and len(table) > 1:
        rate = uniform_rate_hz(table[:, 0], str(path), entry.sampling_rate_hz)
    return FileFacts(
        shape=(len(table), len(columns)),
        axes=("sample", "channel"),
        channels=tuple(header[i] for i in columns),
        sampling_rate_hz=rate,
        stored_columns=columns,
        loaded_bytes=4 * len(table) * len(columns),
    )


def load_csv(path: Path, columns: Sequence[int]) -> np.ndarray:
    """Read some columns of a CSV file as float32 [num_samples, len(columns)].

    Raises:
        UnreadableError: as ``probe_csv``.
    """
    return float32(_read_columns(path, columns))


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
