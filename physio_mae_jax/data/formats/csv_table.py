"""Reading .csv recordings: a line of column names, then one line per sample.

The delimiter is the most frequent of comma, semicolon and tab in the line of names, or the one
after ``sep=``; unless it is a comma, decimal commas are accepted. ``csv_head`` parses the lines
above the samples, ``table_columns`` selects the channels, and ``time_column`` infers the rate from
time columns. Empty cells are NaN; empty lines at the end are skipped.
"""

import csv
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.data.formats.column_content import ColumnContent
from physio_mae_jax.data.formats.column_names import Column, classify_columns, unquote
from physio_mae_jax.data.formats.csv_head import CsvHead, is_number, read_head
from physio_mae_jax.data.formats.csv_text import TEXT_ERRORS, open_text
from physio_mae_jax.data.formats.file_facts import (
    RATE_TOLERANCE,
    FileFacts,
    UnreadableError,
    name_file_in_errors,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.table_columns import (
    TEXT,
    TablePlan,
    describe_table,
    plan_table,
)
from physio_mae_jax.data.formats.time_column import Context, Times, to_float32
from physio_mae_jax.data.formats.time_values import TimeValues
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.rates import check_rate

if TYPE_CHECKING:
    import pandas

_EXPECTED = "a table of numbers with a line of column names"
_ERRORS = (*TEXT_ERRORS, csv.Error, OverflowError, MemoryError)
# Chunked parsing keeps memory use independent of the file length.
_CELLS_PER_CHUNK = 1_000_000
_RAGGED = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def probe_csv(path: Path, entry: ManifestEntry, *, signals_only: bool = False) -> FileFacts:
    """Describe a CSV file; its rate and length are known only after reading all of it.

    Args:
        path: Path of the file.
        entry: Its manifest entry; only the columns it lists must be numeric.
        signals_only: Whether the file has a published format with only signals and times.

    Raises:
        UnreadableError: a cell is text, a line has a different number of cells than the header, or
            the times are not uniform.
        DataError: there is no header, a requested column is missing, or the rate is not plausible.
    """
    with name_file_in_errors(path, _EXPECTED, _ERRORS):
        head = read_head(path)
        if head.names == ("",):
            return _describe_unnamed_column(path, head)
        columns = classify_columns(head.names, head.units)
        plan = plan_table(columns, entry, path, signals_only=signals_only)
        num_samples, contents, times = _scan(path, head, plan)
        stated_hz = entry.sampling_rate_hz or head.sampling_rate_hz
        context = Context(str(path), line_formatter(head), stated_hz=stated_hz)
        facts = describe_table(plan, entry, num_samples, contents, times, context)
        return _apply_header_rate(facts, head, path)


def load_csv(path: Path, columns: Sequence[int]) -> np.ndarray:
    """Read some columns of a CSV file as float32 [num_samples, len(columns)].

    Raises:
        UnreadableError: as ``probe_csv``.
    """
    with name_file_in_errors(path, _EXPECTED, _ERRORS):
        head = read_head(path)
        if columns and max(columns) >= len(head.names):
            raise UnreadableError(f"{path} changed: it has {len(head.names)} columns now.")
        named = classify_columns(head.names, head.units)
        readers = [NumberColumn(named[column], path, head) for column in columns]
        chunks, length = [np.empty((0, len(columns)), np.float32)], 0
        for start, frame in iterate_chunks(path, head):
            values = [r.read(start, frame[r.column.index]) for r in readers]
            chunks.append(to_float32(np.stack(values, axis=1)))
            length = trim_empty_rows(start, frame, length)
        return np.concatenate(chunks)[: length or None]


def _describe_unnamed_column(path: Path, head: CsvHead) -> FileFacts:
    """Describe a single column that has no name."""
    reader = NumberColumn(Column(0, "", "its samples", "", "channel"), path, head)
    length = 0
    for start, frame in iterate_chunks(path, head):
        reader.read(start, frame[0])
        length = trim_empty_rows(start, frame, length)
    facts = FileFacts(
        shape=(length, 1),
        axes=("sample", "channel"),
        units=head.units or None,
        stored_columns=(0,),
        loaded_bytes=4 * length,
    )
    return _apply_header_rate(facts, head, path)


def _apply_header_rate(facts: FileFacts, head: CsvHead, path: Path) -> FileFacts:
    """Use the rate from key-value lines above the table if there are no times.

    Raises:
        DataError: it is not plausible, or differs from that of the times.
    """
    rate_hz, found_hz = head.sampling_rate_hz, facts.sampling_rate_hz
    if rate_hz is None:
        return facts
    if found_hz is not None and abs(found_hz - rate_hz) > RATE_TOLERANCE * rate_hz:
        raise DataError(
            f"{path}: the lines above the table state a sampling rate of {rate_hz:g} Hz, its times "
            f"give {found_hz:g} Hz. Correct or remove the wrong one."
        )
    if found_hz is not None:
        return facts
    check_rate(rate_hz, facts.channels or (), f"{path}, lines above its samples")
    origin = dataclasses.replace(facts.origin, rate="a line above its samples")
    return dataclasses.replace(facts, sampling_rate_hz=rate_hz, origin=origin)


def _scan(
    path: Path, head: CsvHead, plan: TablePlan
) -> tuple[int, dict[int, ColumnContent | str], list[Times]]:
    """Read a table once: its length, the content of the inspected columns, and the times."""
    numbers = [NumberColumn(column, path, head) for column in plan.numbers]
    inspected = [_InspectedColumn(NumberColumn(column, path, head)) for column in plan.inspected]
    clocks = [
        TimeValues(column, str(path), line_formatter(head), head.decimal) for column in plan.times
    ]
    readers: list[NumberColumn | _InspectedColumn] = [*numbers, *inspected]
    length = rows = 0
    for start, frame in iterate_chunks(path, head):
        for reader in readers:
            reader.read(start, frame[reader.column.index])
        for clock in clocks:
            clock.add(start, frame[clock.column.index].to_numpy())
        length = trim_empty_rows(start, frame, length)
        rows = start + len(frame)
    # An all-empty table keeps its length, so that the checks report it as such.
    length = length or rows
    contents = {column.column.index: column.result() for column in inspected}
    return length, contents, [clock.times(length) for clock in clocks]


def iterate_chunks(path: Path, head: CsvHead) -> Iterator[tuple[int, "pandas.DataFrame"]]:
    """Parse a table in chunks: the index of the first row of each, and its data frame."""
    import pandas  # 0.5 s to import; needed only for CSV files.

    count = len(head.names)
    rows = max(1, _CELLS_PER_CHUNK // count)
    # With a comma as delimiter, decimal commas are quoted and left to ``NumberColumn``.
    decimal = "." if head.delimiter == "," else head.decimal
    with open_text(path) as (text, _):
        for _ in range(head.first_line - 1):
            text.readline()
        try:
            # With usecols, pandas would not notice rows that have too many cells.
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


def _check_width(frame: "pandas.DataFrame", head: CsvHead, path: Path, start: int) -> None:
    count = len(head.names)
    more = frame.shape[1] - count
    # A delimiter at the end of every line gives one extra, empty column.
    if more == 0 or (more == 1 and frame[count].isna().all()):
        return
    # A table of only empty lines.
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


def trim_empty_rows(start: int, frame: "pandas.DataFrame", length: int) -> int:
    """Return the number of rows up to the last one that is not an empty line."""
    if not len(frame) or not frame.iloc[-1].isna().all():
        return start + len(frame) if len(frame) else length
    filled = np.flatnonzero(~frame.isna().all(axis=1).to_numpy())
    return start + int(filled[-1]) + 1 if len(filled) else length


def line_formatter(head: CsvHead) -> Callable[[int], str]:
    return lambda index: f"line {head.first_line + index}"


class NumberColumn:
    """A column that must contain numbers."""

    def __init__(self, column: Column, path: Path, head: CsvHead) -> None:
        self.column, self._path, self._head = column, path, head
        self._seen_number = False

    def read(self, start: int, series: "pandas.Series") -> np.ndarray:
        """Return the numbers of a chunk, float64 [n].

        Raises:
            UnreadableError: a cell is not a number.
        """
        values, text = parse_numbers(series, self._head.decimal)
        if text is not None:
            raise UnreadableError(self._message(start, text, series))
        self._seen_number = self._seen_number or bool(np.isfinite(values).any())
        return values

    def are_mostly_numbers(self, series: "pandas.Series") -> bool:
        """Return whether most of the cells are numbers."""
        if series.dtype == bool:
            return False
        filled = [unquote(cell) for cell in series.dropna().astype(str).head(1000)]
        return 2 * sum(_is_number(cell, self._head.decimal) for cell in filled) > len(filled)

    def _message(self, start: int, index: int, series: "pandas.Series") -> str:
        # Text above the first number may be part of an unrecognized header and identify a subject.
        seen = self._seen_number or parse_numbers(series[:index], self._head.decimal)[0].any()
        cell = f"{str(series.iloc[index]).strip()[:40]!r}" if seen else "text"
        hint = ""
        if re.fullmatch(r"[+-]?\d*,\d+", str(series.iloc[index]).strip()):
            hint = (
                " Decimal commas are accepted only if the delimiter is not a comma and no cell has "
                "a decimal point."
            )
        return (
            f"{self._path}, line {self._head.first_line + start + index}: column "
            f"{self.column.name!r} has {cell} where a number is expected.{hint} Leave the cell "
            "empty for a missing sample, or list the columns to use in the manifest's 'channels'."
        )


class _InspectedColumn:
    """A column that may not be a signal."""

    def __init__(self, numbers: NumberColumn) -> None:
        self.column = numbers.column
        self._numbers = numbers
        self._content: ColumnContent | str = ColumnContent()

    def read(self, start: int, series: "pandas.Series") -> None:
        """Add a chunk to the statistics.

        Raises:
            UnreadableError: a cell is text in a column of numbers.
        """
        if isinstance(self._content, str):
            return
        if series.dtype.kind not in "iuf" and not self._numbers.are_mostly_numbers(series):
            self._content = TEXT
            return
        if self.column.kind == "index":
            # Counters are not used as channels, so text is allowed.
            self._content.add(parse_numbers(series, ".")[0])
        else:
            self._content.add(self._numbers.read(start, series))

    def result(self) -> ColumnContent | str:
        """Return the content of the column, or ``TEXT``."""
        return self._content


def parse_numbers(series: "pandas.Series", decimal: str) -> tuple[np.ndarray, int | None]:
    """Parse a chunk as float64 [n]; also return the index of its first non-numeric cell."""
    if series.dtype == bool:
        return np.full(len(series), np.nan), 0 if len(series) else None
    if series.dtype.kind in "iuf":
        return series.to_numpy(np.float64), None
    values = np.full(len(series), np.nan)
    for index, cell in enumerate(series.to_numpy(object)):
        if isinstance(cell, str):
            cell = unquote(cell)
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
        # A point would be a thousands separator.
        return "." not in cell and is_number(cell.replace(",", "."))
    return is_number(cell)
