"""Reading .parquet recordings: one file a recording, a column a channel, a row a sample.

``time_column`` says what becomes of columns of time, in seconds as numbers or as timestamps or
durations of any resolution. Missing values are NaN. A pandas index without a name is left out.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.layout import FileFacts, UnreadableError, naming
from physio_mae_jax.data.formats.manifest import Entry
from physio_mae_jax.data.formats.time_column import float32, time_and_channels, uniform_rate_hz
from physio_mae_jax.errors import DataError

_EXPECTED = "a parquet table with a column of numbers for each channel"
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_UNITS_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def probe_parquet(path: Path, entry: Entry) -> FileFacts:
    """Describe a parquet file from its schema and, for the rate, its time column.

    Args:
        path: the file.
        entry: its manifest entry; of the columns only those it asks for have to be numbers.

    Raises:
        UnreadableError: the file is broken, or the times are not uniform.
        DataError: a wanted column is missing or does not hold numbers.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        header = ["" if _UNNAMED_INDEX.fullmatch(name) else name.strip() for name in schema.names]
        _refuse_duplicates(schema.names, path)
        time, columns = time_and_channels(header, entry, path)
        for column in columns:
            _refuse_text(schema.field(column), path)
        if time is not None and not _is_clock(schema.field(time).type):
            _refuse_text(schema.field(time), path)
        num_samples = int(file.metadata.num_rows)
        rate = None
        if time is not None and num_samples > 1:
            times_s = _seconds(_column(file, schema.names[time]))
            rate = uniform_rate_hz(times_s, str(path), entry.sampling_rate_hz, _row)
    return FileFacts(
        shape=(num_samples, len(columns)),
        axes=("sample", "channel"),
        channels=tuple(header[i] for i in columns),
        sampling_rate_hz=rate,
        stored_columns=columns,
        loaded_bytes=4 * num_samples * len(columns),
    )


def load_parquet(path: Path, columns: Sequence[int]) -> np.ndarray:
    """Read some columns of a parquet file as float32 [num_samples, len(columns)].

    Raises:
        UnreadableError: the file is broken.
    """
    with _opened(path) as file:
        names = file.schema_arrow.names
        if columns and max(columns) >= len(names):
            raise UnreadableError(f"{path} changed: it has {len(names)} columns now.")
        values = np.empty((file.metadata.num_rows, len(columns)), np.float32)
        # One after another, so that the table is never held twice.
        for place, column in enumerate(columns):
            values[:, place] = float32(_numbers(_column(file, names[column])))
        return values


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file, and name it in whatever pyarrow raises inside the block."""
    import pyarrow  # A fifth of a second, paid by those who have parquet files.
    import pyarrow.parquet

    errors = (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError)
    with (
        naming(path, _EXPECTED, (*errors, RuntimeError, pyarrow.ArrowException)),
        pyarrow.OSFile(str(path), "rb") as stream,
        pyarrow.parquet.ParquetFile(stream, page_checksum_verification=True) as file,
    ):
        yield file


def _column(file: Any, name: str) -> Any:
    """Return one column, checking that it is as long as the file says."""
    # 'a' also asks for 'a.b', so the column is taken by its name.
    values = file.read(columns=[name], use_threads=False).column(name)
    if len(values) != file.metadata.num_rows:
        raise ValueError(f"{len(values)} values of {name!r} in {file.metadata.num_rows} rows")
    return values


def _numbers(values: Any) -> np.ndarray:
    import pyarrow

    # Not checked: whole numbers of more digits than a float has are rounded.
    return np.asarray(values.cast(pyarrow.float64(), safe=False).to_numpy(), np.float64)


def _seconds(values: Any) -> np.ndarray:
    """Return times in seconds; of timestamps since the first, which keeps their digits."""
    import pyarrow

    kind = values.type
    if not _is_clock(kind):
        return _numbers(values)
    missing = values.is_null().to_numpy().astype(bool)
    ticks = values.cast(pyarrow.int64()).fill_null(0).to_numpy()
    if missing[0]:
        return np.where(missing, np.nan, 0.0)
    times_s = (ticks - ticks[0]) / _UNITS_A_SECOND[kind.unit]
    return np.where(missing, np.nan, times_s)


def _is_clock(kind: Any) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_timestamp(kind) or pyarrow.types.is_duration(kind))


def _refuse_duplicates(names: Sequence[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"{path} has {names.count(name)} columns named {name!r}; give each a name of its "
                "own."
            )


def _refuse_text(field: Any, path: Path) -> None:
    import pyarrow

    kind, types = field.type, pyarrow.types
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        raise DataError(
            f"{path}: column {field.name!r} holds {kind} where numbers are expected; list "
            "the columns to use in the manifest's 'channels'."
        )


def _row(index: int) -> str:
    return f"row {index}"
