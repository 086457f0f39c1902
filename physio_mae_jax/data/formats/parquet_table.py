"""Reading .parquet recordings: one file a recording, a column a channel, a row a sample.

``table_columns`` selects the columns that are channels, ``time_column`` handles columns of time:
numbers, texts, timestamps, durations and clocks of any resolution. Missing values are NaN. A
pandas index without a name is skipped.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.column_content import ColumnContent
from physio_mae_jax.data.formats.column_names import Column, TimeName, name_columns
from physio_mae_jax.data.formats.csv_head import MAX_COLUMNS
from physio_mae_jax.data.formats.file_facts import FileFacts, UnreadableError, naming
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.table_columns import describe_table, plan_table
from physio_mae_jax.data.formats.time_column import Context, Times, float32
from physio_mae_jax.data.formats.time_text import over_midnight
from physio_mae_jax.data.formats.time_values import TimeValues
from physio_mae_jax.errors import DataError

_EXPECTED = "a parquet table with a column of numbers for each channel"
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
# Columns of few values are stored in next to nothing, so a small file may say it has any length.
_MAX_EXPANSION = 4000
_FREE_BYTES = 2**28
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def probe_parquet(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe a parquet file from its schema and, for the rate, its time column.

    Args:
        path: Path of the file.
        entry: Its manifest entry; only the columns it lists must be numeric.

    Raises:
        UnreadableError: the file is broken, or the times are not uniform.
        DataError: a wanted column is missing or does not hold numbers.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        header = ["" if _UNNAMED_INDEX.fullmatch(name) else name for name in schema.names]
        if len(header) > MAX_COLUMNS:
            raise DataError(f"{path} has {len(header)} columns; at most {MAX_COLUMNS} are read.")
        _reject_duplicates(schema.names, path)
        plan = plan_table(name_columns(header), entry, path)
        for column in plan.numbers:
            _reject_text(schema.field(column.index), path)
        num_samples = _num_rows(file, path)
        inspected = [c for c in plan.inspected if c.name]
        contents = {c.index: _content(file, schema.field(c.index)) for c in inspected}
        times = [
            _times(file, column, schema.names[column.index], str(path))
            for column in plan.times
            if num_samples > 1
        ]
        context = Context(str(path), _row, stated_hz=entry.sampling_rate_hz)
        return describe_table(plan, entry, num_samples, contents, times, context)


def load_parquet(path: Path, columns: Sequence[int]) -> np.ndarray:
    """Read some columns of a parquet file as float32 [num_samples, len(columns)].

    Raises:
        UnreadableError: the file is broken.
    """
    with _opened(path) as file:
        names = file.schema_arrow.names
        if columns and max(columns) >= len(names):
            raise UnreadableError(f"{path} changed: it has {len(names)} columns now.")
        values = np.empty((_num_rows(file, path), len(columns)), np.float32)
        # One after another, so that the table is never held twice.
        for describe_row, column in enumerate(columns):
            values[:, describe_row] = float32(_numbers(_column(file, names[column])))
        return values


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file, and name it in whatever pyarrow raises inside the block."""
    import pyarrow  # 0.2 s to import; needed only for parquet files.
    import pyarrow.parquet

    errors = (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError)
    with (
        naming(path, _EXPECTED, (*errors, RuntimeError, pyarrow.ArrowException)),
        pyarrow.OSFile(str(path), "rb") as stream,
        pyarrow.parquet.ParquetFile(stream, page_checksum_verification=True) as file,
    ):
        yield file


def _column(file: Any, name: str) -> Any:
    """Return one column, checking that it has the length stated by the file."""
    # 'a' also asks for 'a.b', so the column is taken by its name.
    values = file.read(columns=[name], use_threads=False).column(name)
    if len(values) != file.metadata.num_rows:
        raise ValueError(f"{len(values)} values of {name!r} in {file.metadata.num_rows} rows")
    return values


def _numbers(values: Any) -> np.ndarray:
    import pyarrow

    # Not checked: whole numbers of more digits than a float has are rounded.
    return np.asarray(values.cast(pyarrow.float64(), safe=False).to_numpy(), np.float64)


def _num_rows(file: Any, path: Path) -> int:
    """Return the number of rows, if the file may hold so many."""
    rows = int(file.metadata.num_rows)
    if rows * 8 > _FREE_BYTES + _MAX_EXPANSION * path.stat().st_size:
        raise UnreadableError(
            f"{path} states {rows} rows, far more samples than a file of its size can hold; "
            "write it again."
        )
    return rows


def _content(file: Any, field: Any) -> ColumnContent | str:
    """Inspect a column that may be no signal; return its content as text if not numeric."""
    if not _holds_numbers(field.type):
        return f"holds {field.type}"
    content = ColumnContent()
    content.add(_numbers(_column(file, field.name)))
    return content


def _times(file: Any, column: Column, name: str, where: str) -> Times:
    values = _column(file, name)
    if not _is_clock(values.type):
        gathered = TimeValues(column, where, _row)
        gathered.add(0, _cells(values))
        return gathered.times(len(values))
    said = column.time or TimeName(None, False, False)
    return Times(name=column.name, values=_seconds(values), unit="s", said=said)


def _cells(values: Any) -> np.ndarray:
    """Return numbers as they are where none is missing, else as floats; texts as objects."""
    import pyarrow

    if pyarrow.types.is_integer(values.type) and not values.null_count:
        return np.asarray(values.to_numpy())
    if _holds_numbers(values.type):
        return _numbers(values)
    return np.array(values.to_pylist(), object)


def _seconds(values: Any) -> np.ndarray:
    """Return timestamps, durations or clocks in seconds since the first, which keeps digits."""
    import pyarrow

    kind = values.type
    missing = values.is_null().to_numpy().astype(bool)
    bits = pyarrow.int32() if pyarrow.types.is_time32(kind) else pyarrow.int64()
    ticks = values.cast(bits).fill_null(0).to_numpy().astype(np.int64)
    if missing[0]:
        return np.where(missing, np.nan, 0.0)
    ticks_a_second = _UNITS_PER_SECOND[kind.unit]
    if pyarrow.types.is_time(kind):
        ticks = over_midnight(ticks, 86_400 * ticks_a_second)
    return np.where(missing, np.nan, (ticks - ticks[0]) / ticks_a_second)


def _is_clock(kind: Any) -> bool:
    import pyarrow

    types = pyarrow.types
    return bool(types.is_timestamp(kind) or types.is_duration(kind) or types.is_time(kind))


def _reject_duplicates(names: Sequence[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"{path} has {names.count(name)} columns named {name!r}; give each a name of its "
                "own."
            )


def _reject_text(field: Any, path: Path) -> None:
    if not _holds_numbers(field.type):
        raise DataError(
            f"{path}: column {field.name!r} holds {field.type} where numbers are expected; list "
            "the columns to use in the manifest's 'channels'."
        )


def _holds_numbers(kind: Any) -> bool:
    import pyarrow

    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _row(index: int) -> str:
    return f"row {index}"
