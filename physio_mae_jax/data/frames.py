"""Frames of pandas and tables like them: columns as arrays, and what an index says of time."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from physio_mae_jax.errors import DataError


@runtime_checkable
class Frame(Protocol):
    """A table such as ``pandas.DataFrame``: a column for each channel, a row for each sample."""

    columns: Any

    def to_numpy(self) -> np.ndarray:
        """Return the values [n, M]."""
        ...


class Columns(NamedTuple):
    """Columns of a frame.

    Attributes:
        values: [M, n].
        are_whole: all of them are integers.
        num_missing: values that are NA.
    """

    values: np.ndarray
    are_whole: bool
    num_missing: int


def is_series(value: Any) -> bool:
    """Say whether a value is one column with an index, such as ``pandas.Series``."""
    named = hasattr(value, "to_numpy") and hasattr(value, "index") and hasattr(value, "iloc")
    return named and getattr(value, "ndim", 0) == 1


def as_frame(value: Any) -> Any:
    """Return a table of pyarrow as a frame of pandas, and anything else as it is."""
    if type(value).__module__.startswith("pyarrow") and hasattr(value, "to_pandas"):
        return value.to_pandas()
    return value


def column_names(frame: Frame, name: str) -> list[str]:
    """Return the names of all columns, as text.

    Raises:
        DataError: it has no columns, or one without a name, or names of several levels.
    """
    if getattr(frame.columns, "nlevels", 1) > 1:
        raise DataError(
            f"{name}: the columns of the frame have names of several levels; give them one each, "
            "such as frame.columns = frame.columns.map('_'.join)."
        )
    names = [
        column.decode("utf-8", "replace") if isinstance(column, bytes) else str(column)
        for column in frame.columns
    ]
    if not names:
        raise DataError(f"{name}: the frame has no columns; each is a channel.")
    for place, column in enumerate(frame.columns):
        if names[place] in ("nan", "None", "<NA>", "NaT", "") and not isinstance(column, bytes):
            raise DataError(f"{name}: column {place + 1} of the frame has no name; name it.")
    return names


def columns_of(frame: Frame, wanted: Sequence[int], name: str) -> Columns:
    """Read columns of numbers.

    Args:
        frame: the table.
        wanted: places of the columns.
        name: of the recording, for messages.

    Raises:
        DataError: a column holds anything but real numbers.
    """
    table: Any = frame
    every = list(table.columns)
    if hasattr(table, "iloc"):
        series = [table.iloc[:, place] for place in wanted]
        plain = {column.dtype for column in series if isinstance(column.dtype, np.dtype)}
        if all(isinstance(column.dtype, np.dtype) for column in series) and all(
            dtype.kind in "fiu" for dtype in plain
        ):
            values = table.iloc[:, list(wanted)].to_numpy().T
            return Columns(values, values.dtype.kind in "iu", 0)
    else:  # polars
        series = [table[every[place]] for place in wanted]
    read = [
        _column(column, f"{name}: column {str(every[place])!r}")
        for column, place in zip(series, wanted, strict=True)
    ]
    return Columns(
        np.stack([values for values, _, _ in read]),
        all(whole for _, whole, _ in read),
        sum(missing for _, _, missing in read),
    )


def series_values(series: Any, name: str) -> Columns:
    """Read one column as [n]; raises as ``columns_of``."""
    return Columns(*_column(series, name))


def _column(column: Any, what: str) -> tuple[np.ndarray, bool, int]:
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
            f"{what} is of {dtype}; a signal is real numbers, float or integer. Convert it, and "
            "leave out columns that are no signal, such as times: name the others in channels."
        )
    return values, values.dtype.kind in "iu", 0
