"""Reading .parquet recordings: one column per channel, one row per sample.

``table_columns`` selects the columns that are channels, ``time_column`` handles time columns:
numbers, text, timestamps, durations and clock times of any resolution. Missing values are NaN. A
pandas index without a name is skipped. Samples are read by row groups, about a million rows each
unless the writer of the file chose another number.
"""

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.data.formats.column_content import ColumnContent
from physio_mae_jax.data.formats.column_names import Column, TimeName, classify_columns
from physio_mae_jax.data.formats.csv_head import MAX_COLUMNS
from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    name_file_in_errors,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.reader import check_unchanged, read_parts
from physio_mae_jax.data.formats.table_columns import describe_table, plan_table
from physio_mae_jax.data.formats.time_column import Context, Times, to_float32
from physio_mae_jax.data.formats.time_text import unwrap_midnight
from physio_mae_jax.data.formats.time_values import TimeValues
from physio_mae_jax.errors import DataError

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

_EXPECTED = "a parquet table with a column of numbers for each channel"
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
# Constant columns compress to almost nothing, so a small file can state any length.
_MAX_EXPANSION = 4000
_FREE_BYTES = 2**28
_PIECE = 2**15
# Rows of small row groups that are read together.
_PART_ROWS = 2**18
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def probe_parquet(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe a parquet file from its schema and, for the rate, its time column.

    Args:
        path: Path of the file.
        entry: Its manifest entry; only the columns it lists must be numeric.

    Raises:
        UnreadableError: the file is broken, or the times are not uniform.
        DataError: a requested column is missing or is not numeric.
    """
    with _open(path) as file:
        schema = file.schema_arrow
        header = ["" if _UNNAMED_INDEX.fullmatch(name) else name for name in schema.names]
        if len(header) > MAX_COLUMNS:
            raise DataError(f"{path} has {len(header)} columns; at most {MAX_COLUMNS} are read.")
        _reject_duplicates(schema.names, path)
        plan = plan_table(classify_columns(header), entry, path)
        for column in plan.numbers:
            _reject_text(schema.field(column.index), path)
        num_samples = _num_rows(file, path)
        inspected = [c for c in plan.inspected if c.name]
        contents = {c.index: _inspect_column(file, schema.field(c.index)) for c in inspected}
        times = [
            _read_times(file, column, schema.names[column.index], str(path))
            for column in plan.times
            if num_samples > 1
        ]
        context = Context(str(path), _format_row, stated_hz=entry.sampling_rate_hz)
        facts = describe_table(plan, entry, num_samples, contents, times, context)
        return dataclasses.replace(facts, part_ends=_part_ends(file))


def load_parquet_part(records: FileRecords, part: int) -> np.ndarray:
    """Read the channels of some row groups of a file as float32 [rows, M], column by column.

    Raises:
        UnreadableError: the file is broken, or changed since it was opened.
    """
    columns = records.stored_columns or ()
    with _open(records.path) as file:
        names = file.schema_arrow.names
        if columns and max(columns) >= len(names):
            raise UnreadableError(f"{records.path} changed: it has {len(names)} columns now.")
        check_unchanged(records, (file.metadata.num_rows, len(columns)))
        if _part_ends(file) != records.part_ends:
            raise UnreadableError(f"{records.path} changed: its rows are grouped differently now.")
        begin, end = (0, *records.part_ends)[part : part + 2]
        group_ends = _group_ends(file)
        groups = [g for g, group_end in enumerate(group_ends) if begin < group_end <= end]
        values = np.empty((len(columns), end - begin), np.float32)
        # One column at a time, so that the table is never in memory twice.
        for position, column in enumerate(columns):
            read = _read_column(file, names[column], groups)
            values[position] = to_float32(_to_float64(read))
        return values.T


def read_parquet(
    records: FileRecords, loaded: np.ndarray | None, record: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) from their row groups, see ``reader``."""
    return read_parts(records, lambda part: load_parquet_part(records, part), start, stop)


def _group_ends(file: "pyarrow.parquet.ParquetFile") -> list[int]:
    metadata = file.metadata
    rows = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    ends = list(itertools.accumulate(rows))
    if sum(ends[-1:]) != metadata.num_rows:
        raise ValueError(f"row groups of {sum(ends[-1:])} rows in a table of {metadata.num_rows}")
    return ends


def _part_ends(file: "pyarrow.parquet.ParquetFile") -> tuple[int, ...]:
    """Return the ends of the parts that are read at once: row groups, small ones together."""
    ends: list[int] = []
    for end in _group_ends(file):
        begin_of_last = ends[-2] if len(ends) > 1 else 0
        if ends and end - begin_of_last <= _PART_ROWS:
            ends[-1] = end
        else:
            ends.append(end)
    return tuple(ends)


@contextlib.contextmanager
def _open(path: Path) -> Iterator["pyarrow.parquet.ParquetFile"]:
    """Open a file, and convert pyarrow errors inside the block."""
    import pyarrow  # 0.2 s to import; needed only for parquet files.
    import pyarrow.parquet

    errors = (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError)
    with (
        name_file_in_errors(path, _EXPECTED, (*errors, RuntimeError, pyarrow.ArrowException)),
        pyarrow.OSFile(str(path), "rb") as stream,
        pyarrow.parquet.ParquetFile(stream, page_checksum_verification=True) as file,
    ):
        yield file


def _read_column(
    file: "pyarrow.parquet.ParquetFile", name: str, groups: Sequence[int] | None = None
) -> "pyarrow.ChunkedArray":
    """Return one column of some row groups, by default all; check its length."""
    # Reading 'a' also returns 'a.b', so the column is selected by its name.
    if groups is None:
        num_rows = file.metadata.num_rows
        values = file.read(columns=[name], use_threads=False).column(name)
    else:
        num_rows = sum(file.metadata.row_group(group).num_rows for group in groups)
        values = file.read_row_groups(groups, columns=[name], use_threads=False).column(name)
    if len(values) != num_rows:
        raise ValueError(f"{len(values)} values of {name!r} in {num_rows} rows")
    return values


def _to_float64(values: "pyarrow.ChunkedArray") -> np.ndarray:
    import pyarrow

    # safe=False rounds integers with more digits than a float.
    return np.asarray(values.cast(pyarrow.float64(), safe=False).to_numpy(), np.float64)


def _num_rows(file: "pyarrow.parquet.ParquetFile", path: Path) -> int:
    """Return the number of rows, if it is plausible for the file size."""
    rows = int(file.metadata.num_rows)
    if rows * 8 > _FREE_BYTES + _MAX_EXPANSION * path.stat().st_size:
        raise UnreadableError(
            f"{path} states {rows} rows, far more than a file of its size can contain; write it "
            "again."
        )
    return rows


def _inspect_column(
    file: "pyarrow.parquet.ParquetFile", field: "pyarrow.Field"
) -> ColumnContent | str:
    """Inspect a column that may not be a signal; return its type as text if it is not numeric."""
    if not _is_numeric(field.type):
        return f"holds {field.type}"
    content = ColumnContent()
    content.add(_to_float64(_read_column(file, field.name)))
    return content


def _read_times(
    file: "pyarrow.parquet.ParquetFile", column: Column, name: str, where: str
) -> Times:
    values = _read_column(file, name)
    if not _is_clock(values.type):
        time_values = TimeValues(column, where, _format_row)
        time_values.add(0, _to_cells(values))
        return time_values.times(len(values))
    time_name = column.time or TimeName(None, False, False)
    return Times(name=column.name, values=_to_seconds(values), unit="s", time_name=time_name)


def _to_cells(values: "pyarrow.ChunkedArray") -> np.ndarray:
    """Convert a column.

    Integers without nulls unchanged, other numbers to float64, text to objects.
    """
    import pyarrow

    if pyarrow.types.is_integer(values.type) and not values.null_count:
        return np.asarray(values.to_numpy())
    if _is_numeric(values.type):
        return _to_float64(values)
    return np.array(values.to_pylist(), object)


def _to_seconds(values: "pyarrow.ChunkedArray") -> np.ndarray:
    """Convert timestamps, durations or clock times to seconds since the first one."""
    import pyarrow

    kind = values.type
    integer_type = pyarrow.int32() if pyarrow.types.is_time32(kind) else pyarrow.int64()
    ticks = values.cast(integer_type).fill_null(0).to_numpy().astype(np.int64, copy=False)
    missing = values.is_null().to_numpy().astype(bool) if values.null_count else None
    if missing is not None and missing[0]:
        return np.where(missing, np.nan, 0.0)
    ticks_per_second = _UNITS_PER_SECOND[kind.unit]
    if pyarrow.types.is_time(kind):
        ticks = unwrap_midnight(ticks, 86_400 * ticks_per_second)
    seconds = np.empty(len(ticks))
    for first in range(0, len(ticks), _PIECE):  # without a second array of the whole column
        part = slice(first, first + _PIECE)
        np.divide(ticks[part] - ticks[0], ticks_per_second, out=seconds[part])
    if missing is not None:
        seconds[missing] = np.nan
    return seconds


def _is_clock(kind: "pyarrow.DataType") -> bool:
    import pyarrow

    types = pyarrow.types
    return bool(types.is_timestamp(kind) or types.is_duration(kind) or types.is_time(kind))


def _reject_duplicates(names: Sequence[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"{path} has {names.count(name)} columns named {name!r}; give each a unique name."
            )


def _reject_text(field: "pyarrow.Field", path: Path) -> None:
    if not _is_numeric(field.type):
        raise DataError(
            f"{path}: column {field.name!r} holds {field.type} where numbers are expected; list "
            "the columns to use in the manifest's 'channels'."
        )


def _is_numeric(kind: "pyarrow.DataType") -> bool:
    import pyarrow

    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _format_row(index: int) -> str:
    return f"row {index}"
