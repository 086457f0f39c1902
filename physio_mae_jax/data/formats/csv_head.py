"""Header of a text table: delimiter, comments, column names and units, up to the first sample.

The line of column names may be preceded by ``sep=;``, comments and key-value lines, and followed by
a unit line. A single column without a name is accepted if key-value lines describe it, as in an
Apple Watch export. Error messages quote only column names, because other text may identify a
subject.
"""

import csv
import dataclasses
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.column_names import (
    classify_columns,
    is_known_channel,
    is_unit,
    unquote,
)
from physio_mae_jax.data.formats.csv_text import CheckedText, open_text
from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.time_text import classify_time_text
from physio_mae_jax.errors import DataError

MAX_COLUMNS = 4096
_MAX_LINES = 200
_MAX_CHARS = 4_000_000
_MAX_PREAMBLE = 120
_LONGEST_NAME = 500
# Keys and values are short; regexes are not applied to longer lines.
_KEY_CHARS = 300
_MAX_CELLS = 20_000
# Number of sample lines that are checked against a candidate line of names.
_NUM_CHECKED_LINES = 20
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
    """Header of a text table.

    Attributes:
        names: Column names; a single empty name for one unnamed column.
        units: Units from the unit line, or of the single column.
        delimiter: Delimiter between cells.
        decimal: Decimal separator, '.' or ','.
        encoding: Text encoding.
        first_line: Number of the first line of samples, from 1.
        sampling_rate_hz: Rate in Hz from key-value lines above the table; None if there is none.
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
        UnreadableError: the file is empty, cannot be read, or a line is too long.
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
        raise UnreadableError(f"{path}: {delimiter!r} after 'sep=' cannot separate cells.")
    found = _find_names(lines, start, delimiter, path)
    if found is None:
        return _parse_unnamed_column(lines, start, delimiter, path)
    row, names, delimiter = found
    first = _skip_blank_lines(lines, row + 1)
    units: tuple[str, ...] = ()
    cells = _cells(lines[first], delimiter) if first < len(lines) else []
    if len(cells) >= len(names) > 0 and _is_line_of_units(cells):
        units, first = tuple(cells), _skip_blank_lines(lines, first + 1)
    if len(names) > 1 and not names[-1] and first < len(lines):
        # Only the line of names ends with a delimiter.
        is_trailing = len(_cells(lines[first], delimiter)) == len(names) - 1
        names = names[:-1] if is_trailing else names
    return CsvHead(
        names=tuple(names),
        units=units,
        delimiter=delimiter,
        decimal=_decimal(lines[first:], delimiter),
        first_line=first + 1,
        sampling_rate_hz=_rate(lines[:row]),
    )


def _find_names(
    lines: Sequence[str], start: int, delimiter: str, path: Path
) -> tuple[int, list[str], str] | None:
    """Find the line of column names: its index, the names, and the delimiter."""
    comment = None
    for row in range(start, min(len(lines), _MAX_PREAMBLE)):
        line = lines[row]
        if not line.strip():
            continue
        if _COMMENT.match(line):
            comment = row
            if not _begins_with_number_sign(line):
                continue
        separator = delimiter or max(",;\t", key=line.count)
        names = [unquote(name) for name in _cells(line, separator)]
        _check_names(names, path)
        named = _are_names(names, row == start) and (row == start or not _is_key(line, names))
        if named and _match_samples(names, lines, row, separator):
            return row, _cells(line, separator), separator
        if comment is not None and _all_numbers(names):
            return _names_from_comment(lines[comment], comment, row, names, separator)
    first = _skip_blank_lines(lines, start)
    below = _skip_blank_lines(lines, first + 1)
    if first < len(lines) and not _COMMENT.match(lines[first]):
        separator = delimiter or max(",;\t", key=lines[first].count)
        names = [unquote(name) for name in _cells(lines[first], separator)]
        alone = below >= len(lines)
        numbers = not alone and _all_numbers(_cells(lines[below], separator))
        if _are_names(names, not alone) and (alone or numbers):
            # Rows of another length are reported when the table is read.
            return first, _cells(lines[first], separator), separator
    return None


def _check_names(names: Sequence[str], path: Path) -> None:
    if len(names) > MAX_COLUMNS:
        raise DataError(
            f"{path} has {len(names)} columns; at most {MAX_COLUMNS} are expected, one for each "
            "channel. Write a line for each sample."
        )
    if max(map(len, names), default=0) > _LONGEST_NAME:
        raise DataError(
            f"{path}: a column name has more than {_LONGEST_NAME} characters; shorten it, "
            "or add a first line with the column names."
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


def _names_from_comment(
    line: str, comment: int, row: int, numbers: Sequence[str], delimiter: str
) -> tuple[int, list[str], str] | None:
    """Use the last comment as the line of column names if it matches the numbers below it."""
    names = [unquote(name) for name in _cells(_COMMENT.sub("", line, count=1), delimiter)]
    kinds = {column.kind for column in classify_columns(names)}
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
    # Beside a time column, '1' and '2' may be channel names.
    return first and any(c.kind in ("channel", "time") for c in classify_columns(names))


def _match_samples(
    names: Sequence[str], lines: Sequence[str], header_row: int, delimiter: str
) -> bool:
    """Return whether the lines below are samples of columns with these names."""
    rows = [line for line in lines[header_row + 1 :] if line.strip()][: _NUM_CHECKED_LINES + 1]
    cells = [_cells(line, delimiter) for line in rows]
    if cells and _is_line_of_units(cells[0]):
        cells = cells[1:]
    cells = cells[:_NUM_CHECKED_LINES]
    good = [row for row in cells if _is_sample(row, len(names))]
    if not good or good[0] is not cells[0] or 2 * len(good) < len(cells):
        return False
    kinds = {column.kind for column in classify_columns(names)}
    return bool(kinds & {"channel", "time", "index"}) or all(
        _all_numbers(row) for row in good if any(row)
    )


def _is_sample(row: Sequence[str], count: int) -> bool:
    while len(row) > count and not row[-1]:
        row = row[:-1]
    filled = [cell for cell in row if cell.strip()]
    numbers = sum(is_number(c) or bool(_DECIMAL_COMMA.fullmatch(c)) or bool(classify_time_text(c))
                  for c in map(unquote, filled))  # fmt: skip
    return len(row) == count and 2 * numbers >= len(filled)


def _all_numbers(row: Sequence[str]) -> bool:
    filled = [unquote(cell) for cell in row if cell.strip()]
    return bool(filled) and all(
        is_number(cell) or _DECIMAL_COMMA.fullmatch(cell) or classify_time_text(cell)
        for cell in filled
    )


def _is_line_of_units(cells: Sequence[str]) -> bool:
    filled = [cell for cell in map(unquote, cells) if cell]
    numbers = any(is_number(cell) or classify_time_text(cell) for cell in filled)
    return not numbers and any(map(is_unit, filled))


def _cells(line: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return [cell.strip() for cell in cells]


def _skip_blank_lines(lines: Sequence[str], row: int) -> int:
    while row < len(lines) and not lines[row].strip():
        row += 1
    return row


def _decimal(lines: Sequence[str], delimiter: str) -> str:
    commas = points = False
    cells = (unquote(cell) for line in lines for cell in _cells(line, delimiter))
    for cell in itertools.islice(cells, _MAX_CELLS):
        commas = commas or _DECIMAL_COMMA.fullmatch(cell) is not None
        points = points or ("." in cell and is_number(cell))
    return "," if commas and not points else "."


def _rate(lines: Sequence[str]) -> float | None:
    """Return the rate from key-value lines; None if there is none, or more than one."""
    found = {
        float(match[1].replace(",", ".")) * (1000 if match[2] else 1)
        for match in (_RATE.search(line[:_KEY_CHARS]) for line in lines)
        if match
    }
    return found.pop() if len(found) == 1 else None


def _parse_unnamed_column(lines: Sequence[str], start: int, delimiter: str, path: Path) -> CsvHead:
    """Parse a single unnamed column below key-value lines, or report what is missing."""
    filled = [line for line in lines[start:] if line.strip()]
    above = list(itertools.takewhile(lambda line: not _is_number_line(line, delimiter), filled))
    rest = filled[len(above) :]
    rate = _rate(above)
    lead = _get_value(_LEAD_KEY, above)
    comma = any("," in line for line in rest)
    # '1,2' is one number if there is one lead, or if commas separate nothing else.
    single = all(map(_single_number, rest)) and (
        not comma or bool(lead) or any(";" in line for line in above)
    )
    if rate and rest and len(above) < _MAX_PREAMBLE and single:
        unit = _get_value(_UNIT_KEY, above)
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
            f"{path} starts with numbers; add a first line with the column names, such as "
            '"time,II,PPG".'
        )
    found = "there is no line of column names above the numbers"
    if rest:
        stated = f", with a sampling rate of {rate:g} Hz," if rate else ""
        found = (
            f"{len(above)} comment or key-value lines{stated} precede its first numbers, but none "
            "of them is a matching line of column names"
        )
    raise DataError(
        f"{path} is not a table of samples below a line of column names: {found}. Put the column "
        "names, such as \"time,II,PPG\", on the first line, state 'sampling_rate_hz' in a "
        "manifest if there is no time, or exclude the file from the folder or manifest."
    )


def _is_number_line(line: str, delimiter: str) -> bool:
    return _all_numbers(_cells(line, delimiter or max(",;\t", key=line.count)))


def _single_number(line: str) -> bool:
    cell = line.strip()
    return is_number(cell) or _DECIMAL_COMMA.fullmatch(cell) is not None


def _get_value(key: re.Pattern[str], lines: Sequence[str]) -> str:
    matches = (key.match(line[:_KEY_CHARS]) for line in lines)
    found = {match[1].strip() for match in matches if match}
    return found.pop() if len(found) == 1 else ""
