"""Text tables whose columns a format defines, with samples in physical units.

A format describes the head of its file by a ``TextTable``; this module reads the table in chunks,
infers its rate from a column of times if the head does not state it, and creates a reader. Text in
place of a number is an error that names the line; empty cells are missing samples.
"""

import csv
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.column_names import Column, TimeName
from physio_mae_jax.data.formats.csv_head import CsvHead
from physio_mae_jax.data.formats.csv_table import (
    NumberColumn,
    iterate_chunks,
    line_formatter,
    trim_empty_rows,
)
from physio_mae_jax.data.formats.csv_text import TEXT_ERRORS
from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    name_file_in_errors,
    select_file_channels,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader, read_loaded
from physio_mae_jax.data.formats.time_column import Context, Times, infer_table_rate, to_float32
from physio_mae_jax.data.formats.time_units import SECONDS
from physio_mae_jax.data.formats.time_values import TimeValues
from physio_mae_jax.data.formats.vendors.packet_times import packet_rate
from physio_mae_jax.signals.rates import check_rate

_ERRORS = (*TEXT_ERRORS, csv.Error, OverflowError, MemoryError)
_SHOWN = 6


class TextColumn(NamedTuple):
    """A column of samples.

    Attributes:
        position: Position in the table, from 0.
        spelled: Name as in the file.
        name: Channel name.
        unit: Unit of the channel, '' if there is none.
        gain, offset: The channel is ``gain * value + offset``.
        is_default: Whether it is read if no manifest lists channels.
    """

    position: int
    spelled: str
    name: str
    unit: str = ""
    gain: float = 1.0
    offset: float = 0.0
    is_default: bool = True


class Clock(NamedTuple):
    """A column of times.

    Attributes:
        position: Position in the table, from 0.
        name: Name as in the file.
        unit: Unit of numbers, a key of ``time_units.SECONDS``; None for dates.
        jitter_s: Maximum difference of times from those of a constant rate, for timestamps that a
            receiver assigns to packets; 0 for times of a constant rate.
        nominal_hz: Rates of the device, one of which the times must have on average; empty for any.
    """

    position: int
    name: str
    unit: str | None
    jitter_s: float = 0.0
    nominal_hz: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTable:
    """Description of a table by its head.

    Attributes:
        format: Name of the format, for messages.
        head: First line of samples and delimiter of cells.
        columns: Columns of samples.
        origin: Source of rate, names and units.
        sampling_rate_hz: Rate stated by the head in Hz; None if ``clock`` determines it.
        clock: Column of times; None if ``sampling_rate_hz`` is stated.
        counter: Index of a column of sample numbers, and the modulus of these numbers.
        skips_events: Whether lines without a sample are events instead of missing samples.
        notes: Assumptions, for a warning.
    """

    format: str
    head: CsvHead
    columns: tuple[TextColumn, ...]
    origin: Origin
    sampling_rate_hz: float | None = None
    clock: Clock | None = None
    counter: tuple[int, int] | None = None
    skips_events: bool = False
    notes: tuple[str, ...] = ()


def text_reader(describe: Callable[[Path], TextTable]) -> Reader:
    """Create a reader of tables whose head ``describe`` parses."""

    def probe(path: Path, entry: ManifestEntry) -> FileFacts:
        with name_file_in_errors(path, "a table of numbers below its head", _ERRORS):
            return _probe(path, entry, describe(path))

    def load(records: FileRecords) -> np.ndarray:
        with name_file_in_errors(records.path, "a table of numbers below its head", _ERRORS):
            table = describe(records.path)
            by_index = {column.position: column for column in table.columns}
            stored = records.stored_columns or ()
            if not set(stored) <= by_index.keys():
                raise UnreadableError(
                    f"{records.path} changed: it has fewer columns than when it was opened."
                )
            pieces = [np.empty((0, len(stored)), np.float32)]
            columns = [by_index[index] for index in stored]
            pieces += [piece.values for piece in _pieces(records.path, table, columns)]
            return np.concatenate(pieces)

    return Reader(probe, load, read_loaded)


class ReadTable(NamedTuple):
    """A completely read table.

    Attributes:
        values: Samples [n, k] of its columns, float32.
        rate_hz: Sampling rate in Hz.
        start_s: Time of the first sample in seconds.
    """

    values: np.ndarray
    rate_hz: float
    start_s: float


def read_text_table(path: Path, table: TextTable) -> ReadTable:
    """Read a complete table whose times are numbers.

    Raises:
        UnreadableError: a cell is not a number, or the times are not those of a constant rate.
    """
    clock = table.clock
    assert clock is not None
    assert clock.unit is not None
    with name_file_in_errors(path, "a table of numbers below its head", _ERRORS):
        times = _times_of(table, path)
        assert times is not None
        values = [np.empty((0, len(table.columns)), np.float32)]
        for piece in _pieces(path, table, table.columns):
            values.append(piece.values)
            times.add(piece.start, piece.times)
        joined = np.concatenate(values)
        context = Context(str(path), line_formatter(table.head))
        found = times.times(len(joined))
        rate_hz, _ = packet_rate(found, clock.jitter_s, clock.nominal_hz, context)
        first = found.values[0] if found.origin is None else found.origin
        return ReadTable(joined, rate_hz, float(first) * SECONDS[clock.unit])


def _probe(path: Path, entry: ManifestEntry, table: TextTable) -> FileFacts:
    """Describe a table by reading all of it.

    Raises:
        UnreadableError: a cell is not a number, or the times are not those of a constant rate.
        DataError: a channel that the manifest lists is missing, or the rate is not plausible.
    """
    columns = [c for c in table.columns if entry.channels is not None or c.is_default]
    if entry.channels is not None:
        _, picked = select_file_channels(entry, [c.name for c in columns], str(path))
        columns = [columns[i] for i in picked]
    if not columns:
        raise UnreadableError(
            f"{path} has no known signals ({_listed(table.columns) or 'no columns'}); "
            "list channels in a manifest, or exclude the file."
        )
    length, missed = 0, 0
    times = _times_of(table, path)
    for piece in _pieces(path, table, columns):
        length += len(piece.values)
        missed += piece.num_missed
        if times is not None:
            times.add(piece.start, piece.times)
    if length == 0:
        raise UnreadableError(f"{path} has no samples below its head; exclude it.")
    check_memory(str(path), 4 * length * len(columns), path.stat().st_size)
    rate_hz, doubt = table.sampling_rate_hz, ""
    if times is not None:
        rate_hz, doubt = _rate(table, times.times(length), columns, path, entry)
    if rate_hz is not None:
        check_rate(rate_hz, [c.name for c in columns], str(path))
    others = [c for c in table.columns if not c.is_default]
    notes = [*table.notes, *([doubt] if doubt else [])]
    if others and entry.channels is None:
        notes.append(
            f"the columns {_listed(others)} are not used; if one is wanted, list channels in a "
            "manifest"
        )
    if missed:
        notes.append(f"its sample numbers skip at {missed} lines, where samples may be lost")
    return FileFacts(
        shape=(length, len(columns)),
        axes=("sample", "channel"),
        channels=tuple(c.name for c in columns),
        units=tuple(c.unit for c in columns),
        sampling_rate_hz=rate_hz,
        stored_columns=tuple(c.position for c in columns),
        loaded_bytes=4 * length * len(columns),
        notes=tuple(notes),
        origin=table.origin,
    )


def _listed(columns: Sequence[TextColumn]) -> str:
    more = f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
    return ", ".join(repr(c.name) for c in columns[:_SHOWN]) + more


class _Piece(NamedTuple):
    """A chunk of a table: samples [n, k] float32, and the cells of the clock [n]."""

    start: int
    values: np.ndarray
    times: np.ndarray
    num_missed: int


def _pieces(path: Path, table: TextTable, columns: Sequence[TextColumn]) -> Iterator[_Piece]:
    """Read columns in chunks, in physical units; empty lines at the end are skipped."""
    readers = [NumberColumn(_column(c), path, table.head) for c in columns]
    gains = np.array([c.gain for c in columns])
    offsets = np.array([c.offset for c in columns])
    held: _Piece | None = None
    previous: float | None = None
    for start, frame in iterate_chunks(path, table.head):
        values = np.stack([r.read(start, frame[r.column.index]) for r in readers], axis=1)
        kept = np.arange(len(frame)) < trim_empty_rows(start, frame, start) - start
        if table.skips_events:
            kept &= ~np.isnan(values).all(axis=1)
        missed = 0
        if table.counter is not None:
            index, modulus = table.counter
            numbers = frame[index].to_numpy(np.float64)[kept]
            joined = numbers if previous is None else np.concatenate(([previous], numbers))
            missed = int((np.diff(joined) % modulus != 1).sum())
            previous = float(numbers[-1]) if len(numbers) else previous
        cells = frame[table.clock.position].to_numpy()[kept] if table.clock else np.empty(0)
        if held is not None:
            yield held
        held = _Piece(start, to_float32(values[kept] * gains + offsets), cells, missed)
    if held is not None:
        yield held


def _column(column: TextColumn) -> Column:
    return Column(column.position, column.spelled, column.spelled, column.unit, "channel")


def _times_of(table: TextTable, path: Path) -> TimeValues | None:
    clock = table.clock
    if clock is None:
        return None
    name = TimeName(unit=clock.unit, plain=True, seconds=False)
    column = Column(clock.position, clock.name, clock.name, "", "time", name)
    return TimeValues(column, str(path), line_formatter(table.head), table.head.decimal)


def _rate(
    table: TextTable,
    found: Times,
    columns: Sequence[TextColumn],
    path: Path,
    entry: ManifestEntry,
) -> tuple[float | None, str]:
    """Return the rate from the clock, None if only a manifest can state it, and a warning or ''."""
    assert table.clock is not None
    context = Context(
        str(path),
        line_formatter(table.head),
        channels=[c.name for c in columns],
        stated_hz=entry.sampling_rate_hz,
    )
    if table.clock.jitter_s and entry.sampling_rate_hz is None:
        return packet_rate(found, table.clock.jitter_s, table.clock.nominal_hz, context)
    return infer_table_rate([found], context).rate_hz, ""
