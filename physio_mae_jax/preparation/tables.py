"""Reading metadata as text: tables with required columns, and lines such as 'Age: 65'."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from physio_mae_jax.errors import DataError


def read_table(path: Path, needed: Sequence[str], delimiter: str = ",") -> list[dict[str, str]]:
    """Read a table with a header.

    Args:
        path: Path of the file, UTF-8.
        needed: Required columns.
        delimiter: Delimiter between cells.

    Returns:
        One dictionary of stripped texts per row, '' for empty cells.

    Raises:
        DataError: the file cannot be read, lacks a needed column, or a row has a different number
            of cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in needed if name not in header]
            if missing:
                raise DataError(
                    f"{path} has no column {', '.join(map(repr, missing))}; it has "
                    f"{', '.join(header) or 'none'}."
                )
            rows = []
            for line, cells in enumerate(reader, start=2):
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise DataError(
                        f"{path}, row {line}: {len(cells)} cells where the header has "
                        f"{len(header)} columns; the file is damaged or truncated."
                    )
                rows.append(dict(zip(header, map(str.strip, cells), strict=True)))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from error
    return rows


def parse_fields(lines: Iterable[str]) -> dict[str, str]:
    """Return the values of lines such as 'Age: 65' by their names; other lines are ignored."""
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
