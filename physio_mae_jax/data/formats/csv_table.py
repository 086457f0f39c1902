"""Reading .csv recordings: a line of column names, then one line a sample.

The delimiter is whichever of comma, semicolon and tab the names have most of, or what ``sep=``
says; where it is no comma, decimals may have one. ``csv_head`` describes what may stand above the
samples, ``table_columns`` which columns are channels, ``time_column`` what becomes of columns of
time. Empty cells are NaN; empty lines at the end are skipped.
"""

import csv
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.column_content import ColumnContent
from physio_mae_jax.data.formats.column_names import Column, name_columns, unquoted
from physio_mae_jax.data.formats.csv_head import CsvHead, is_number, read_head
from physio_mae_jax.data.formats.csv_text import TEXT_ERRORS, open_text
from physio_mae_jax.data.formats.file_facts import (
    RATE_TOLERANCE,
    FileFacts,
    UnreadableError,
    naming,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.table_columns import (
    TEXT,
    TablePlan,
    describe_table,
    plan_table,
)
from physio_mae_jax.data.formats.time_column import Context, Times, float32
from physio_mae_jax.data.formats.time_values import TimeValues
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.rates import check_rate

_EXPECTED = "a table of numbers with a line of column names"
_ERRORS = (*TEXT_ERRORS, csv.Error, OverflowError, MemoryError)
# Cells that are parsed at a time, so that a file of any length takes little memory.
_CELLS = 1_000_000
_RAGGED = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def probe_csv(path: Path, entry: ManifestEntry, *, signals_only: bool = False) -> FileFacts:
    """Describe a CSV file; its rate and length are known only by reading all of it.

    Args:
        path: Path of the file.
        entry: Its manifest entry; only the columns it lists must be numeric.
        signals_only: Whether the file has a published format with only signals and times.

    Raises:
        UnreadableError: a cell is text, a line has other columns than the header, or the times
            are not uniform.
        DataError: there is no header, a wanted column is missing, or the rate is not plausible.
    """
    with naming(path, _EXPECTED, _ERRORS):
        head = read_head(path)
        if head.names == ("",):
            return _without_a_name(path, head)
        columns = name_columns(head.names, head.units)
        plan = plan_table(columns, entry, path, signals_only=signals_only)
        num_samples, contents, times = _scan(path, head, plan)
        stated_hz = entry.sampling_rate_hz or head.sampling_rate_hz
        context = Context(str(path), line_of(head), stated_hz=stated_hz)
        facts = describe_table(plan, entry, num_samples, contents, times, context)
        return _with_rate(facts, head, path)


def load_csv(path: Path, columns: Sequence[int]) -> np.ndarray:
    """Read some columns of a CSV file as float32 [num_samples, len(columns)].

    Raises:
        UnreadableError: as ``probe_csv``.
    """
    with naming(path, _EXPECTED, _ERRORS):
        head = read_head(path)
        if columns and max(columns) >= len(head.names):
            raise UnreadableError(f"{path} changed: it has {len(head.names)} columns now.")
        named = name_columns(head.names, head.units)
        readers = [NumberColumn(named[column], path, head) for column in columns]
        pieces, length = [np.empty((0, len(columns)), np.float32)], 0
        for start, frame in read_pieces(path, head):
            values = [r.read(start, frame[r.column.index]) for r in readers]
            pieces.append(float32(np.stack(values, axis=1)))
            length = filled_length(start, frame, length)
        return np.concatenate(pieces)[: length or None]


def _without_a_name(path: Path, head: CsvHead) -> FileFacts:
    """Describe a single column that has no name."""
    reader = NumberColumn(Column(0, "", "its samples", "", "channel"), path, head)
    length = 0
    for start, frame in read_pieces(path, head):
        reader.read(start, frame[0])
        length = filled_length(start, frame, length)
    facts = FileFacts(
        shape=(length, 1),
        axes=("sample", "channel"),
        units=head.units or None,
        stored_columns=(0,),
        loaded_bytes=4 * length,
    )
    return _with_rate(facts, head, path)


def _with_rate(facts: FileFacts, head: CsvHead, path: Path) -> FileFacts:
    """Use the rate stated by keys above the table, where there are no times.

    Raises:
        DataError: it is not plausible, or not that of the times.
    """
    rate_hz, found_hz = head.sampling_rate_hz, facts.sampling_rate_hz
    if rate_hz is None:
        return facts
    if found_hz is not None and abs(found_hz - rate_hz) > RATE_TOLERANCE * rate_hz:
        raise DataError(
            f"{path}: a sampling rate of {rate_hz:g} Hz stands above the table, its times are of "
            f"{found_hz:g} Hz. Correct or remove the wrong one."
        )
    if found_hz is not None:
        return facts
    check_rate(rate_hz, facts.channels or (), f"{path}, lines above its samples")
    origin = dataclasses.replace(facts.origin, rate="a line above its samples")
    return dataclasses.replace(facts, sampling_rate_hz=rate_hz, origin=origin)


def _scan(
    path: Path, head: CsvHead, plan: TablePlan
) -> tuple[int, dict[int, ColumnContent | str], list[Times]]:
    """Read a table once: its length, what the inspected columns hold, and the times."""
    numbers = [NumberColumn(column, path, head) for column in plan.numbers]
    inspected = [_Inspected(NumberColumn(column, path, head)) for column in plan.inspected]
    clocks = [TimeValues(column, str(path), line_of(head), head.decimal) for column in plan.times]
    readers: list[NumberColumn | _Inspected] = [*numbers, *inspected]
    length = rows = 0
    for start, frame in read_pieces(path, head):
        for reader in readers:
            reader.read(start, frame[reader.column.index])
        for clock in clocks:
            clock.add(start, frame[clock.column.index].to_numpy())
        length = filled_length(start, frame, length)
        rows = start + len(frame)
    # All empty is kept for the check to report, rather than passed off as an empty file.
    length = length or rows
    contents = {column.column.index: column.result() for column in inspected}
    return length, contents, [clock.times(length) for clock in clocks]


def read_pieces(path: Path, head: CsvHead) -> Iterator[tuple[int, Any]]:
    """Parse a table in pieces: the index of the first row of each, and its frame."""
    import pandas  # 0.5 s to import; needed only for CSV files.

    count = len(head.names)
    rows = max(1, _CELLS // count)
    # A decimal comma between cells that commas part stands in quotes: ``NumberColumn`` reads it.
    decimal = "." if head.delimiter == "," else head.decimal
    with open_text(path) as (text, _):
        for _ in range(head.first_line - 1):
            text.readline()
        try:
            # All columns are parsed, or pandas would not notice lines that have too many.
            parser = pandas.read_csv(
                text, sep=head.delimiter, header=None, chunksize=rows, decimal=decimal,
                # A skipped line would be a silently lost sample.
                skip_blank_lines=False, skipinitialspace=True, low_memory=False,
            )  # fmt: skip
            start = 0
            for frame in parser:
                _check_width(frame, head, path, start)
                yield start, frame
                start += len(frame)
        except pandas.errors.EmptyDataError:
            return
        except pandas.errors.ParserError as error:
            if match := _RAGGED.search(str(error)):
                line = head.first_line + int(match[2]) - 1
                raise UnreadableError(
                    f"{path} cannot be read: line {line} has {match[3]} cells, where {match[1]} "
                    f"({_abbreviate(head.names)}) are expected. Write or copy it again."
                ) from error
            raise


def _check_width(frame: Any, head: CsvHead, path: Path, start: int) -> None:
    count = len(head.names)
    more = frame.shape[1] - count
    # A delimiter at the end of every line makes one more column, of nothing.
    if more == 0 or (more == 1 and frame[count].isna().all()):
        return
    # A table that is empty lines alone.
    if more < 0 and start == 0 and frame.isna().all(axis=None):
        for column in range(frame.shape[1], count):
            frame[column] = np.nan
        return
    raise UnreadableError(
        f"{path}: the header names {count} columns ({_abbreviate(head.names)}), the lines below "
        f"have {frame.shape[1]}."
    )


def _abbreviate(names: Sequence[str]) -> str:
    return ", ".join(names)[:200]


def filled_length(start: int, frame: Any, length: int) -> int:
    """Return the number of rows up to the last one that is not an empty line."""
    if not len(frame) or not frame.iloc[-1].isna().all():
        return start + len(frame) if len(frame) else length
    filled = np.flatnonzero(~frame.isna().all(axis=1).to_numpy())
    return start + int(filled[-1]) + 1 if len(filled) else length


def line_of(head: CsvHead) -> Callable[[int], str]:
    return lambda index: f"line {head.first_line + index}"


class NumberColumn:
    """A column that has to hold numbers."""

    def __init__(self, column: Column, path: Path, head: CsvHead) -> None:
        self.column, self._path, self._head = column, path, head
        self._encoder_or_window = False

    def read(self, start: int, series: Any) -> np.ndarray:
        """Return the numbers of a piece, float64 [n].

        Raises:
            UnreadableError: a cell is none.
        """
        values, text = numbers_of(series, self._head.decimal)
        if text is not None:
            raise UnreadableError(self._message(start, text, series))
        self._encoder_or_window = self._encoder_or_window or bool(np.isfinite(values).any())
        return values

    def are_mostly_numbers(self, series: Any) -> bool:
        """Return whether most of the cells are numbers."""
        if series.dtype == bool:
            return False
        filled = [unquoted(cell) for cell in series.dropna().astype(str).head(1000)]
        return 2 * sum(_is_number(cell, self._head.decimal) for cell in filled) > len(filled)

    def _message(self, start: int, index: int, series: Any) -> str:
        # Above the first number a cell may be part of a head that was not understood, and a name.
        seen = self._encoder_or_window or numbers_of(series[:index], self._head.decimal)[0].any()
        cell = f"{str(series.iloc[index]).strip()[:40]!r}" if seen else "text"
        hint = ""
        if re.fullmatch(r"[+-]?\d*,\d+", str(series.iloc[index]).strip()):
            hint = " Decimal commas are read where the delimiter is none and no cell has a point."
        return (
            f"{self._path}, line {self._head.first_line + start + index}: column "
            f"{self.column.name!r} has {cell} where a number is expected.{hint} Leave the cell "
            "empty for a missing sample, or list the columns to use in the manifest's 'channels'."
        )


class _Inspected:
    """A column that may be no signal."""

    def __init__(self, numbers: NumberColumn) -> None:
        self.column = numbers.column
        self._numbers = numbers
        self._content: ColumnContent | str = ColumnContent()

    def read(self, start: int, series: Any) -> None:
        """Look at a piece.

        Raises:
            UnreadableError: a cell is text in a column of numbers.
        """
        if isinstance(self._content, str):
            return
        if series.dtype.kind not in "iuf" and not self._numbers.are_mostly_numbers(series):
            self._content = TEXT
            return
        if self.column.kind == "index":
            # It need not be read, and so need not be numbers.
            self._content.add(numbers_of(series, ".")[0])
        else:
            self._content.add(self._numbers.read(start, series))

    def result(self) -> ColumnContent | str:
        """Return what the column holds, or ``TEXT``."""
        return self._content


def numbers_of(series: Any, decimal: str) -> tuple[np.ndarray, int | None]:
    """Return a piece of a column as float64 [n], and the index of its first cell that is text."""
    if series.dtype == bool:
        return np.full(len(series), np.nan), 0 if len(series) else None
    if series.dtype.kind in "iuf":
        return series.to_numpy(np.float64), None
    values = np.full(len(series), np.nan)
    for index, cell in enumerate(series.to_numpy(object)):
        if isinstance(cell, str):
            cell = unquoted(cell)
            if cell and not _is_number(cell, decimal):
                return values, index
            cell = cell.replace(",", ".") or np.nan
        try:
            values[index] = float(cell)
        except OverflowError:
            values[index] = np.inf
    return values, None


def _is_number(cell: str, decimal: str) -> bool:
    if decimal == ",":
        # A point would part thousands, or belong to another table.
        return "." not in cell and is_number(cell.replace(",", "."))
    return is_number(cell)
