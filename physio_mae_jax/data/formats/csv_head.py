"""The beginning of a table of text: its delimiter, comments, names and units, up to its samples.

Before the line of names there may be ``sep=;``, comments, and lines of keys and values; below it a
line of units. Without names a single column is known where keys state what it is, as in the export
of an Apple Watch. Of this text only column names ever get into a message: it
may be the name of a subject.
"""

import csv
import dataclasses
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.column_names import (
    is_known_channel,
    is_unit,
    name_columns,
    unquoted,
)
from physio_mae_jax.data.formats.csv_text import CheckedText, open_text
from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.time_text import kind_of_text
from physio_mae_jax.errors import DataError

MAX_COLUMNS = 4096
_MAX_LINES = 200
_MAX_CHARS = 4_000_000
_MAX_PREAMBLE = 120
_LONGEST_NAME = 500
# Keys and values are short; expressions are not tried on more.
_KEY_CHARS = 300
_MAX_CELLS = 20_000
# Lines by which a line of names is evaluated.
_INSPECTED = 20
_COMMENT = re.compile(r"\s*[\"']?(?:%|#|//)")
_SEPARATOR = re.compile(r"[\"']?sep=(.)[\"']?\s*", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_RATE = re.compile(
    r"(?:sampl\w*[\s_]*(?:rate|freq\w*)|abtastrate|\bfs)\b[^\d\n]{0,20}?(\d+(?:[.,]\d+)?)"
    r"\s*(k?)(?:hz|hertz|$|[\s\"',;])",
    re.IGNORECASE,
)
_UNIT_KEY = re.compile(r"\s*\"?(?:units?|einheit)\"?\s*[:=,;\t]\s*\"?([^\",;\t]+)", re.IGNORECASE)
_LEAD_KEY = re.compile(
    r"\s*\"?(?:lead|channel|ableitung)\"?\s*[:=,;\t]\s*\"?([^\",;\t]+)", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CsvHead:
    """Head of a table, above its samples.

    Attributes:
        names: Column names; one empty name where a single column is not named.
        units: Units below the names, or of the single column.
        delimiter: Delimiter between cells.
        decimal: Decimal separator, '.' or ','.
        encoding: Text encoding.
        first_line: Number of the first line of samples, from 1.
        sampling_rate_hz: Rate stated by keys above the table, in Hz; None where they state none.
    """

    names: tuple[str, ...]
    units: tuple[str, ...] = ()
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    first_line: int = 2
    sampling_rate_hz: float | None = None


def read_head(path: Path) -> CsvHead:
    """Read the head of a table.

    Raises:
        UnreadableError: the file is empty, cannot be read, or has lines without end.
        DataError: there is no line of names.
    """
    with open_text(path) as (text, encoding):
        lines = _first_lines(text)
        head = _parse_head(lines, path)
    return dataclasses.replace(head, encoding=encoding)


def is_number(cell: str) -> bool:
    """Return whether a cell is a number with a decimal point."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _first_lines(text: CheckedText) -> list[str]:
    lines, chars = [], 0
    for line in text:
        lines.append(line.rstrip("\r\n"))
        chars += len(line)
        if len(lines) >= _MAX_LINES or (chars > _MAX_CHARS and len(lines) > 1):
            break
    return lines


def _parse_head(lines: Sequence[str], path: Path) -> CsvHead:
    if not any(line.strip() for line in lines):
        raise UnreadableError(
            f"{path} is empty, or starts with empty lines; a line of column names is needed."
        )
    match = _SEPARATOR.fullmatch(lines[0])
    start, delimiter = (1, match[1]) if match else (0, "")
    if delimiter and delimiter in "\\\"'":
        raise UnreadableError(f"{path}: {delimiter!r} behind 'sep=' cannot part cells.")
    found = _find_names(lines, start, delimiter, path)
    if found is None:
        return _without_names(lines, start, delimiter, path)
    row, parted, delimiter = found
    first = _next_filled(lines, row + 1)
    units: tuple[str, ...] = ()
    cells = _cells(lines[first], delimiter) if first < len(lines) else []
    if len(cells) >= len(parted) > 0 and _is_line_of_units(cells):
        units, first = tuple(cells), _next_filled(lines, first + 1)
    if len(parted) > 1 and not parted[-1] and first < len(lines):
        # A delimiter at the end of the names alone.
        short = len(_cells(lines[first], delimiter)) == len(parted) - 1
        parted = parted[:-1] if short else parted
    return CsvHead(
        names=tuple(parted),
        units=units,
        delimiter=delimiter,
        decimal=_decimal(lines[first:], delimiter),
        first_line=first + 1,
        sampling_rate_hz=_rate(lines[:row]),
    )


def _find_names(
    lines: Sequence[str], start: int, delimiter: str, path: Path
) -> tuple[int, list[str], str] | None:
    """Find the line of names: its index, the names, and the delimiter."""
    comment = None
    for row in range(start, min(len(lines), _MAX_PREAMBLE)):
        line = lines[row]
        if not line.strip():
            continue
        if _COMMENT.match(line):
            comment = row
            if not _begins_with_number_sign(line):
                continue
        mark = delimiter or max(",;\t", key=line.count)
        names = [unquoted(name) for name in _cells(line, mark)]
        _check_names(names, path)
        named = _are_names(names, row == start) and (row == start or not _is_key(line, names))
        if named and _fits(names, lines, row, mark):
            return row, _cells(line, mark), mark
        if comment is not None and _all_numbers(names):
            return _names_of_comment(lines[comment], comment, row, names, mark)
    first = _next_filled(lines, start)
    below = _next_filled(lines, first + 1)
    if first < len(lines) and not _COMMENT.match(lines[first]):
        mark = delimiter or max(",;\t", key=lines[first].count)
        names = [unquoted(name) for name in _cells(lines[first], mark)]
        alone = below >= len(lines)
        numbers = not alone and _all_numbers(_cells(lines[below], mark))
        if _are_names(names, not alone) and (alone or numbers):
            # Lines of another length, which reading the table will name.
            return first, _cells(lines[first], mark), mark
    return None


def _check_names(names: Sequence[str], path: Path) -> None:
    if len(names) > MAX_COLUMNS:
        raise DataError(
            f"{path} has {len(names)} columns; at most {MAX_COLUMNS} are expected, one for each "
            "channel. Write a line for each sample."
        )
    if max(map(len, names), default=0) > _LONGEST_NAME:
        raise DataError(
            f"{path}: the name of a column has more than {_LONGEST_NAME} characters; shorten it, "
            "or add a first line with the names of the columns."
        )


def _begins_with_number_sign(line: str) -> bool:
    """Return whether '#' is the name of the first column, the number of the sample."""
    return re.match(r"\s*[\"']?#[\"']?\s*[,;\t]", line) is not None


def _is_key(line: str, names: Sequence[str]) -> bool:
    """Return whether a line is a key and its value rather than names of two columns."""
    if len(names) != 2:
        return False
    line = line[:_KEY_CHARS]
    return bool(_RATE.search(line) or _UNIT_KEY.match(line) or _LEAD_KEY.match(line))


def _names_of_comment(
    line: str, comment: int, row: int, numbers: Sequence[str], delimiter: str
) -> tuple[int, list[str], str] | None:
    """Take the last comment for the names of the numbers below it, where it fits them."""
    names = [unquoted(name) for name in _cells(_COMMENT.sub("", line, count=1), delimiter)]
    kinds = {column.kind for column in name_columns(names)}
    if row == comment + 1 and len(names) == len(numbers) and kinds & {"channel", "time"}:
        return comment, names, delimiter
    return None


def _are_names(names: Sequence[str], first: bool) -> bool:
    filled = [name for name in names if name]
    numbers = sum(map(is_number, filled))
    if not filled or numbers == len(filled):
        return False
    if numbers == 0:
        return True
    # '1' and '2' may be channels, beside a column of time.
    return first and any(c.kind in ("channel", "time") for c in name_columns(names))


def _fits(names: Sequence[str], lines: Sequence[str], header_row: int, delimiter: str) -> bool:
    """Return whether the lines below are samples of columns with these names."""
    rows = [line for line in lines[header_row + 1 :] if line.strip()][: _INSPECTED + 1]
    cells = [_cells(line, delimiter) for line in rows]
    if cells and _is_line_of_units(cells[0]):
        cells = cells[1:]
    cells = cells[:_INSPECTED]
    good = [row for row in cells if _is_sample(row, len(names))]
    if not good or good[0] is not cells[0] or 2 * len(good) < len(cells):
        return False
    kinds = {column.kind for column in name_columns(names)}
    return bool(kinds & {"channel", "time", "index"}) or all(
        _all_numbers(row) for row in good if any(row)
    )


def _is_sample(row: Sequence[str], count: int) -> bool:
    while len(row) > count and not row[-1]:
        row = row[:-1]
    filled = [cell for cell in row if cell.strip()]
    numbers = sum(is_number(c) or bool(_DECIMAL_COMMA.fullmatch(c)) or bool(kind_of_text(c))
                  for c in map(unquoted, filled))  # fmt: skip
    return len(row) == count and 2 * numbers >= len(filled)


def _all_numbers(row: Sequence[str]) -> bool:
    filled = [unquoted(cell) for cell in row if cell.strip()]
    return bool(filled) and all(
        is_number(cell) or _DECIMAL_COMMA.fullmatch(cell) or kind_of_text(cell) for cell in filled
    )


def _is_line_of_units(cells: Sequence[str]) -> bool:
    filled = [cell for cell in map(unquoted, cells) if cell]
    numbers = any(is_number(cell) or kind_of_text(cell) for cell in filled)
    return not numbers and any(map(is_unit, filled))


def _cells(line: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def _next_filled(lines: Sequence[str], row: int) -> int:
    while row < len(lines) and not lines[row].strip():
        row += 1
    return row


def _decimal(lines: Sequence[str], delimiter: str) -> str:
    commas = points = False
    cells = (unquoted(cell) for line in lines for cell in _cells(line, delimiter))
    for cell in itertools.islice(cells, _MAX_CELLS):
        commas = commas or _DECIMAL_COMMA.fullmatch(cell) is not None
        points = points or ("." in cell and is_number(cell))
    return "," if commas and not points else "."


def _rate(lines: Sequence[str]) -> float | None:
    """Return the rate stated by keys, None where there is none or more than one."""
    found = {
        float(match[1].replace(",", ".")) * (1000 if match[2] else 1)
        for match in (_RATE.search(line[:_KEY_CHARS]) for line in lines)
        if match
    }
    return found.pop() if len(found) == 1 else None


def _without_names(lines: Sequence[str], start: int, delimiter: str, path: Path) -> CsvHead:
    """Interpret a single column below keys and values, or report what is missing."""
    filled = [line for line in lines[start:] if line.strip()]
    above = list(itertools.takewhile(lambda line: not _is_numbers(line, delimiter), filled))
    rest = filled[len(above) :]
    rate = _rate(above)
    lead = _value(_LEAD_KEY, above)
    comma = any("," in line for line in rest)
    # '1,2' is one number where there is one lead, or where commas part nothing else.
    single = all(map(_single_number, rest)) and (
        not comma or bool(lead) or any(";" in line for line in above)
    )
    if rate and rest and len(above) < _MAX_PREAMBLE and single:
        unit = _value(_UNIT_KEY, above)
        return CsvHead(
            names=(lead if is_known_channel(lead) else "",),
            units=(unit,) if is_unit(unit) else (),
            delimiter=";" if comma else ",",
            decimal="," if comma else ".",
            first_line=lines.index(rest[0], start) + 1,
            sampling_rate_hz=rate,
        )
    if not above:
        raise DataError(
            f"{path} starts with numbers; add a first line with the names of the columns, such as "
            '"time,II,PPG".'
        )
    found = "no line of names stands above lines of numbers"
    if rest:
        stated = f", with a sampling rate of {rate:g} Hz," if rate else ""
        found = (
            f"{len(above)} lines of comments, or of keys and values{stated} stand above its first "
            "numbers, and no line of names that fits them"
        )
    raise DataError(
        f"{path} is no table of samples below the names of its columns: {found}. Put the names of "
        "the columns, such as \"time,II,PPG\", on the first line, state 'sampling_rate_hz' in a "
        "manifest if there is no time, or exclude the file from the folder or manifest."
    )


def _is_numbers(line: str, delimiter: str) -> bool:
    return _all_numbers(_cells(line, delimiter or max(",;\t", key=line.count)))


def _single_number(line: str) -> bool:
    cell = line.strip()
    return is_number(cell) or _DECIMAL_COMMA.fullmatch(cell) is not None


def _value(key: re.Pattern[str], lines: Sequence[str]) -> str:
    matches = (key.match(line[:_KEY_CHARS]) for line in lines)
    found = {match[1].strip() for match in matches if match}
    return found.pop() if len(found) == 1 else ""
