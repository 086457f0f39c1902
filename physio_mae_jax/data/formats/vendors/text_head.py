"""The first lines of a text file, split into cells, for parsing the heads of exports."""

import csv
from pathlib import Path

from physio_mae_jax.data.formats.csv_head import MAX_COLUMNS, CsvHead
from physio_mae_jax.data.formats.csv_text import open_text
from physio_mae_jax.errors import DataError

_LONGEST_HEAD_LINE = 65_536


def first_lines(path: Path, count: int) -> tuple[list[str], str]:
    """Return the first lines without their ends, and the encoding of the file.

    Raises:
        UnreadableError: the file cannot be read or decoded.
    """
    with open_text(path) as (text, encoding):
        lines = [text.readline().rstrip("\r\n")[:_LONGEST_HEAD_LINE] for _ in range(count)]
    return lines, encoding


def cells_of(line: str, delimiter: str) -> list[str]:
    """Split a line into cells, without blanks and quotes around them."""
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def table_head(
    path: Path, names: list[str], *, delimiter: str, encoding: str, first_line: int
) -> CsvHead:
    """Describe a head; ``first_line`` is the number of the first line of samples, from 1.

    Raises:
        DataError: there are too many columns.
    """
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path} has {len(names)} columns; at most {MAX_COLUMNS} are expected.")
    return CsvHead(
        names=tuple(names), delimiter=delimiter, encoding=encoding, first_line=first_line
    )
