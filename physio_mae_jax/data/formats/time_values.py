"""The values of a column of times, gathered piece by piece: numbers, dates, or a clock."""

from collections.abc import Callable

import numpy as np

from physio_mae_jax.data.formats.column_names import Column, TimeName, unquoted
from physio_mae_jax.data.formats.time_column import Times
from physio_mae_jax.data.formats.time_text import CLOCK, kind_of_text, nanoseconds, over_midnight

_NS = 1e-9


class TimeValues:
    """A column of times so far.

    Args:
        column: Column to read.
        where: Name of the file in error messages.
        describe_row: Formats the position of a sample index in the file.
        decimal: Decimal separator of numbers stored as text, '.' or ','.
    """

    def __init__(
        self, column: Column, where: str, describe_row: Callable[[int], str], decimal: str = "."
    ) -> None:
        """Begin with no values."""
        self.column, self._where, self._describe_row, self._decimal = (
            column,
            where,
            describe_row,
            decimal,
        )
        self._pieces: list[np.ndarray] = []
        self._kind: str | None = None
        self._error = ""

    def add(self, start: int, cells: np.ndarray) -> None:
        """Take the cells of rows ``start`` to ``start + len(cells)``, numbers or texts."""
        if self._error or not len(cells):
            return
        kind = "" if cells.dtype.kind in "iuf" else self._kind_of(cells)
        if self._kind is None:
            self._kind = kind
        if kind != self._kind:
            # A piece of empty lines at the end is read as numbers.
            if cells.dtype.kind == "f" and np.isnan(cells).all():
                return
            self._error = f"{self._where}: column {self.column.name!r} holds times of two forms."
        elif not kind:
            self._add_numbers(start, cells)
        else:
            self._add_texts(start, cells, kind)

    def times(self, length: int) -> Times:
        """Return the first ``length`` values."""
        said = self.column.time or TimeName(None, False, False)
        unit, origin = said.unit, None
        values = np.zeros(0)
        if self._pieces and not self._error:
            joined = np.concatenate(self._first(length))
            # Pieces after an error, or of empty lines, are missing.
            if self._kind:
                joined = over_midnight(joined) if self._kind == CLOCK else joined
                values, unit = (joined - joined[0]) * _NS, "s"
                if len(joined) < length:
                    self._error = f"{self._where}: column {self.column.name!r} lacks times."
            elif joined.dtype.kind == "i":
                # Whole numbers since 1970 have more digits than a float.
                values, origin = (joined - joined[0]).astype(np.float64), float(joined[0])
            else:
                values = joined
        if self._error:
            values = np.zeros(length)
        return Times(
            name=self.column.name, values=values, unit=unit, said=said, origin=origin,
            error=self._error,
        )  # fmt: skip

    def _first(self, length: int) -> list[np.ndarray]:
        """Return the pieces of the first ``length`` values; empty lines behind take no memory."""
        pieces = []
        for piece in self._pieces:
            pieces.append(piece[:length])
            length -= len(pieces[-1])
        return pieces

    def _kind_of(self, cells: np.ndarray) -> str:
        first = next((cell for cell in cells if isinstance(cell, str) and cell.strip()), "")
        return kind_of_text(first)

    def _add_numbers(self, start: int, cells: np.ndarray) -> None:
        if cells.dtype.kind == "f" and np.isnan(cells).all():
            self._pieces.append(np.broadcast_to(np.nan, len(cells)))
        elif cells.dtype.kind in "fi":
            self._pieces.append(cells)
        elif cells.dtype.kind == "u":
            self._pieces.append(cells.astype(np.float64))
        else:
            self._pieces.append(self._numbers(start, cells))

    def _numbers(self, start: int, cells: np.ndarray) -> np.ndarray:
        values = np.full(len(cells), np.nan)
        for index, cell in enumerate(cells):
            try:
                if isinstance(cell, str):
                    cell = unquoted(cell).replace(self._decimal, ".")
                values[index] = float(cell)
            except (TypeError, ValueError, OverflowError):
                if cell is None or (isinstance(cell, str) and not cell.strip()):
                    continue
                self._error = (
                    f"{self._where}, {self._describe_row(start + index)}: column "
                    f"{self.column.name!r} "
                    "has text that is no time where one is expected; numbers, dates such as "
                    "2024-03-31T12:00:00.008+02:00 and clocks such as 12:00:00.008 are."
                )
                break
        return values

    def _add_texts(self, start: int, cells: np.ndarray, kind: str) -> None:
        while len(cells) and not isinstance(cells[-1], str):
            # Empty lines at the end.
            cells = cells[:-1]
        try:
            self._pieces.append(nanoseconds(cells.tolist(), kind))
        except ValueError as error:
            describe_row = self._describe_row(start + (error.args[1] if len(error.args) > 1 else 0))
            self._error = (
                f"{self._where}, {describe_row}: column {self.column.name!r} has no such time as "
                f"its first one, {kind}, there."
            )
