"""Activities of Garmin devices, as converted from .fit files by FitCSVTool of the FIT SDK.

The first line begins with ``Type,Local Number,Message,Field 1,Value 1,Units 1``; each line ``Data``
with the message ``record`` is a sample, a list of field, value and unit
(https://developer.garmin.com/fit/fitcsvtool). Times are in seconds since 1989-12-31. Heart rate,
respiration rate, temperature and oxygen saturation are read; other fields, such as speed, only if a
manifest lists them. Recordings at irregular times ('smart recording') are rejected; the device must
record every second. The module is not tested on real exports, but on files written after this
description.
"""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.column_names import TimeName
from physio_mae_jax.data.formats.csv_text import TEXT_ERRORS, open_text
from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    name_file_in_errors,
    select_file_channels,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader, read_loaded
from physio_mae_jax.data.formats.time_column import Context, Times, infer_table_rate, to_float32
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.signals.rates import check_rate

_NAME = "Garmin FIT CSV"
_FIRST_LINE = "Type,Local Number,Message,Field 1,Value 1,Units 1"
_EXPECTED = "the CSV that FitCSVTool writes"
_ERRORS = (*TEXT_ERRORS, csv.Error, OverflowError, MemoryError)
_TIME = "timestamp"
_SIGNALS = (
    "heart_rate",
    "respiration_rate",
    "enhanced_respiration_rate",
    "temperature",
    "core_temperature",
    "skin_temperature",
    "saturated_hemoglobin_percent",
)
_UNITS = {"C": "degC", "breaths/min": "breaths/min", "bpm": "bpm"}
_MAX_FIELDS = 256


class _Record(NamedTuple):
    line: int
    fields: dict[str, tuple[str, str]]


class _Activity(NamedTuple):
    """The samples of an activity.

    Attributes:
        names, units: Names and units of the numeric fields [k].
        values: Samples [n, k] float32; NaN if a record lacks the field.
        times: Times [n] in seconds.
        lines: Line number of each sample [n].
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    times: np.ndarray
    lines: np.ndarray


def _is_fit(head: Head) -> bool:
    return head.lines(1)[0].lstrip("\ufeff").startswith(_FIRST_LINE)


def _records(path: Path) -> Iterator[_Record]:
    with open_text(path) as (text, _):
        for line, row in enumerate(csv.reader(text), 1):
            if len(row) < 3 or row[0] != "Data" or row[2] != "record":
                continue
            cells = row[3 : 3 + 3 * _MAX_FIELDS]
            triples = itertools.zip_longest(cells[0::3], cells[1::3], cells[2::3], fillvalue="")
            yield _Record(line, {name: (value, unit) for name, value, unit in triples if name})


def _read(path: Path) -> _Activity:
    """Read all records.

    Raises:
        UnreadableError: a record has no time, or a value is not a number.
    """
    units: dict[str, str] = {}
    columns: dict[str, dict[int, float]] = {}
    times: list[float] = []
    lines: list[int] = []
    for number, record in enumerate(_records(path)):
        times.append(_number(record, _TIME, path))
        lines.append(record.line)
        for name, (value, unit) in record.fields.items():
            if name == _TIME or not value or "|" in value:
                continue
            if len(columns) >= _MAX_FIELDS and name not in columns:
                raise UnreadableError(f"{path}, line {record.line}: more than {_MAX_FIELDS} fields")
            units.setdefault(name, _UNITS.get(unit, unit))
            columns.setdefault(name, {})[number] = _number(record, name, path)
    if not times:
        raise UnreadableError(f"{path} has no records of an activity; exclude it.")
    check_memory(str(path), 4 * len(times) * len(columns), path.stat().st_size)
    values = np.full((len(times), len(columns)), np.nan)
    for column, found in enumerate(columns.values()):
        values[list(found), column] = list(found.values())
    return _Activity(
        names=tuple(columns),
        units=tuple(units[name] for name in columns),
        values=to_float32(values),
        times=np.asarray(times),
        lines=np.asarray(lines),
    )


def _number(record: _Record, name: str, path: Path) -> float:
    text, _ = record.fields.get(name, ("", ""))
    try:
        return float(text)
    except ValueError:
        found = f"reads {text[:40]!r}" if text else "is missing"
        raise UnreadableError(
            f"{path}, line {record.line}: {name} {found}; a number is expected. Convert the "
            ".fit file again, or exclude it."
        ) from None


def _probe(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe an activity by reading all of it.

    Raises:
        UnreadableError: the file is broken, or the times are not uniform.
        DataError: a channel that the manifest lists is missing, or the rate is not plausible.
    """
    with name_file_in_errors(path, _EXPECTED, _ERRORS):
        activity = _read(path)
        chosen = tuple(i for i, name in enumerate(activity.names) if name in _SIGNALS)
        if entry.channels is not None:
            _, chosen = select_file_channels(entry, activity.names, str(path))
        if not chosen:
            raise UnreadableError(
                f"{path} has none of {', '.join(_SIGNALS)} ({', '.join(activity.names)[:200]}); "
                "list channels in a manifest, or exclude the file."
            )
        names = [activity.names[i] for i in chosen]
        clock = Times(
            name=_TIME, values=activity.times, unit="s", time_name=TimeName("s", True, False)
        )
        context = Context(
            str(path),
            lambda index: f"line {activity.lines[index]}",
            channels=names,
            stated_hz=entry.sampling_rate_hz,
        )
        rate_hz = infer_table_rate([clock], context).rate_hz
        if rate_hz is not None:
            check_rate(rate_hz, names, str(path))
        others = [name for i, name in enumerate(activity.names) if i not in chosen]
        return FileFacts(
            shape=(len(activity.values), len(chosen)),
            axes=("sample", "channel"),
            channels=tuple(names),
            units=tuple(activity.units[i] for i in chosen),
            sampling_rate_hz=rate_hz,
            stored_columns=chosen,
            loaded_bytes=4 * len(activity.values) * len(chosen),
            notes=(f"the fields {', '.join(others[:12])} are not used",) * bool(others),
            origin=Origin(
                format=_NAME, rate=f"field {_TIME!r}", names="its fields", units="its fields"
            ),
        )


def _load(records: FileRecords) -> np.ndarray:
    with name_file_in_errors(records.path, _EXPECTED, _ERRORS):
        activity = _read(records.path)
        columns = list(records.stored_columns or ())
        if max(columns, default=0) >= len(activity.names):
            raise UnreadableError(f"{records.path} changed: it lost fields since it was opened.")
        return activity.values[:, columns]


GARMIN_FIT = VendorFormat(_NAME, (".csv", ".gz"), _is_fit, Reader(_probe, _load, read_loaded))
