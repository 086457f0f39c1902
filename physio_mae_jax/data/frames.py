"""Columns of pandas, polars and pyarrow tables as arrays."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np

from physio_mae_jax.errors import DataError


@runtime_checkable
class Frame(Protocol):
    """A table such as ``pandas.DataFrame``: one column per channel, one row per sample."""

    columns: Iterable[object]

    def to_numpy(self) -> np.ndarray:
        """Return the values [n, M]."""
        ...


class Series(Protocol):
    """A single column with an index, such as ``pandas.Series``."""

    name: object


class Columns(NamedTuple):
    """Columns of a frame.

    Attributes:
        values: [M, n] samples of the columns.
        are_integers: Whether all columns are integers.
        num_missing: Number of NA values.
    """

    values: np.ndarray
    are_integers: bool
    num_missing: int


def is_series(value: object) -> TypeGuard[Series]:
    """Return whether a value is a single column with an index, such as ``pandas.Series``."""
    named = hasattr(value, "to_numpy") and hasattr(value, "index") and hasattr(value, "iloc")
    return named and getattr(value, "ndim", 0) == 1


def as_frame(value: object) -> object:
    """Convert a pyarrow table to a pandas frame; return other values unchanged."""
    if type(value).__module__.startswith("pyarrow") and hasattr(value, "to_pandas"):
        return value.to_pandas()
    return value


def column_names(frame: Frame, name: str) -> list[str]:
    """Return the names of all columns, as text.

    Raises:
        DataError: the frame has no columns, a column without a name, or multi-level names.
    """
    if getattr(frame.columns, "nlevels", 1) > 1:
        raise DataError(
            f"{name}: the columns of the frame have multi-level names; make them single-level, "
            "such as with frame.columns = frame.columns.map('_'.join)."
        )
    names = [
        column.decode("utf-8", "replace") if isinstance(column, bytes) else str(column)
        for column in frame.columns
    ]
    if not names:
        raise DataError(f"{name}: the frame has no columns; it needs one per channel.")
    for position, column in enumerate(frame.columns):
        if names[position] in ("nan", "None", "<NA>", "NaT", "") and not isinstance(column, bytes):
            raise DataError(f"{name}: column {position + 1} of the frame has no name; name it.")
    return names


def read_columns(frame: Frame, positions: Sequence[int], name: str) -> Columns:
    """Read numeric columns.

    Args:
        frame: Table with one column per channel.
        positions: Positions of the columns to read.
        name: Name of the recording, for messages.

    Raises:
        DataError: a column has values that are not real numbers.
    """
    table: Any = frame
    all_columns = list(table.columns)
    if hasattr(table, "iloc"):
        series = [table.iloc[:, position] for position in positions]
        numpy_dtypes = {column.dtype for column in series if isinstance(column.dtype, np.dtype)}
        if all(isinstance(column.dtype, np.dtype) for column in series) and all(
            dtype.kind in "fiu" for dtype in numpy_dtypes
        ):
            values = table.iloc[:, list(positions)].to_numpy().T
            return Columns(values, values.dtype.kind in "iu", 0)
    else:  # polars
        series = [table[all_columns[position]] for position in positions]
    parsed = [
        _parse_column(column, f"{name}: column {str(all_columns[position])!r}")
        for column, position in zip(series, positions, strict=True)
    ]
    return Columns(
        np.stack([values for values, _, _ in parsed]),
        all(whole for _, whole, _ in parsed),
        sum(missing for _, _, missing in parsed),
    )


def series_values(series: Series, name: str) -> Columns:
    """Read one column as [n]; raises as ``read_columns``."""
    return Columns(*_parse_column(series, name))


def _parse_column(column: Any, what: str) -> tuple[np.ndarray, bool, int]:
    """Return the numbers [n] of a column, whether they are integers, and how many are NA."""
    dtype = column.dtype
    kind = getattr(dtype, "kind", "")
    is_pandas = hasattr(column, "isna") and not isinstance(dtype, np.dtype)
    if is_pandas and kind in "fiu" and kind:
        missing = int(column.isna().to_numpy(dtype=bool).sum())
        if not missing and kind in "iu":
            return column.to_numpy(dtype=np.dtype(f"{kind}8")), True, 0
        return column.to_numpy(dtype=np.float64, na_value=np.nan), kind in "iu", missing
    values = column.to_numpy() if not is_pandas else np.empty(0, object)
    if values.dtype.kind not in "fiu":
        raise DataError(
            f"{what} must be real numbers (float or integer); got {dtype}. Convert it, or exclude "
            "columns that are not signals, such as times, by listing the others in channels."
        )
    return values, values.dtype.kind in "iu", 0
