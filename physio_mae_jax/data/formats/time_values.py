"""Values of a time column, collected chunk by chunk: numbers, dates or clock times."""

from collections.abc import Callable

import numpy as np

from physio_mae_jax.data.formats.column_names import Column, TimeName, unquote
from physio_mae_jax.data.formats.time_column import Times
from physio_mae_jax.data.formats.time_text import (
    CLOCK,
    classify_time_text,
    parse_times_ns,
    unwrap_midnight,
)

_NS = 1e-9


class TimeValues:
    """Accumulates the values of a time column.

    Args:
        column: Column to read.
        where: Name of the file in error messages.
        describe_row: Formats the position of a sample index in the file.
        decimal: Decimal separator of numbers stored as text, '.' or ','.
    """

    def __init__(
        self, column: Column, where: str, describe_row: Callable[[int], str], decimal: str = "."
    ) -> None:
        """Start without values."""
        self.column, self._where, self._describe_row, self._decimal = (
            column,
            where,
            describe_row,
            decimal,
        )
        self._chunks: list[np.ndarray] = []
        self._kind: str | None = None
        self._error = ""

    def add(self, start: int, cells: np.ndarray) -> None:
        """Add the cells of rows ``start`` to ``start + len(cells)``, numbers or text."""
        if self._error or not len(cells):
            return
        kind = "" if cells.dtype.kind in "iuf" else self._classify_cells(cells)
        if self._kind is None:
            self._kind = kind
        if kind != self._kind:
            # A chunk of only empty lines is parsed as numbers.
            if cells.dtype.kind == "f" and np.isnan(cells).all():
                return
            self._error = f"{self._where}: column {self.column.name!r} mixes two forms of times."
        elif not kind:
            self._add_numbers(start, cells)
        else:
            self._add_texts(start, cells, kind)

    def times(self, length: int) -> Times:
        """Return the first ``length`` values."""
        time_name = self.column.time or TimeName(None, False, False)
        unit, origin = time_name.unit, None
        values = np.zeros(0)
        if self._chunks and not self._error:
            chunks = self._take(length)
            joined = np.concatenate(chunks) if len(chunks) > 1 else chunks[0]
            # Chunks after an error, or of empty lines, are missing.
            if self._kind:
                joined = unwrap_midnight(joined) if self._kind == CLOCK else joined
                values, unit = (joined - joined[0]) * _NS, "s"
                if len(joined) < length:
                    self._error = f"{self._where}: column {self.column.name!r} has missing times."
            elif joined.dtype.kind == "i":
                # Integers since 1970 may have more digits than a float.
                values, origin = (joined - joined[0]).astype(np.float64), float(joined[0])
            else:
                values = joined
        if self._error:
            values = np.zeros(length)
        return Times(
            name=self.column.name, values=values, unit=unit, time_name=time_name, origin=origin,
            error=self._error,
        )  # fmt: skip

    def _take(self, length: int) -> list[np.ndarray]:
        """Return the chunks of the first ``length`` values."""
        chunks = []
        for chunk in self._chunks:
            chunks.append(chunk[:length])
            length -= len(chunks[-1])
        return chunks

    def _classify_cells(self, cells: np.ndarray) -> str:
        first = next((cell for cell in cells if isinstance(cell, str) and cell.strip()), "")
        return classify_time_text(first)

    def _add_numbers(self, start: int, cells: np.ndarray) -> None:
        if cells.dtype.kind == "f" and np.isnan(cells).all():
            self._chunks.append(np.broadcast_to(np.nan, len(cells)))
        elif cells.dtype.kind in "fi":
            self._chunks.append(cells)
        elif cells.dtype.kind == "u":
            self._chunks.append(cells.astype(np.float64))
        else:
            self._chunks.append(self._numbers(start, cells))

    def _numbers(self, start: int, cells: np.ndarray) -> np.ndarray:
        values = np.full(len(cells), np.nan)
        for index, cell in enumerate(cells):
            try:
                if isinstance(cell, str):
                    cell = unquote(cell).replace(self._decimal, ".")
                values[index] = float(cell)
            except (TypeError, ValueError, OverflowError):
                if cell is None or (isinstance(cell, str) and not cell.strip()):
                    continue
                self._error = (
                    f"{self._where}, {self._describe_row(start + index)}: column "
                    f"{self.column.name!r} "
                    "has text that is not a time; numbers, dates such as "
                    "2024-03-31T12:00:00.008+02:00 and clock times such as 12:00:00.008 are "
                    "accepted."
                )
                break
        return values

    def _add_texts(self, start: int, cells: np.ndarray, kind: str) -> None:
        while len(cells) and not isinstance(cells[-1], str):
            # Empty lines at the end.
            cells = cells[:-1]
        try:
            self._chunks.append(parse_times_ns(cells.tolist(), kind))
        except ValueError as error:
            row = self._describe_row(start + (error.args[1] if len(error.args) > 1 else 0))
            self._error = (
                f"{self._where}, {row}: column {self.column.name!r} has a value of another kind "
                f"than its first one ({kind})."
            )
