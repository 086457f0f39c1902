"""Exports of the Empatica E4 wristband: a folder or a zip of one CSV file a sensor.

By the ``info.txt`` of the export, in each file the first line is the start in seconds since 1970
(UTC), the second the sampling rate in Hz, then follows one line a sample. BVP has no unit, EDA is
in microsiemens, TEMP in degrees Celsius, ACC (x, y, z) in 1/64 g. HR, IBI and tags are computed
from these and no signals.

Of a folder the recording is ``BVP.csv``, to which the other sensors belong; where the E4 recorded
no BVP, it is the first of ACC, EDA and TEMP.
"""

import io
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.data.formats.csv_table import parse_numbers
from physio_mae_jax.data.formats.csv_text import TEXT_ERRORS, CheckedText, open_text
from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader
from physio_mae_jax.data.formats.time_column import to_float32
from physio_mae_jax.data.formats.vendors.sensor_frames import (
    Frames,
    Sensor,
    as_frames,
    frames_reader,
)
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.errors import DataError

if TYPE_CHECKING:
    import pandas

_COUNTS_PER_G = 64
# Sensor -> channels, unit, and what a value is divided by; the first is the recording.
_SENSORS: dict[str, tuple[tuple[str, ...], str, int]] = {
    "BVP": (("PPG",), "", 1),
    "ACC": (("ACC_X", "ACC_Y", "ACC_Z"), "g", _COUNTS_PER_G),
    "EDA": (("EDA",), "uS", 1),
    "TEMP": (("TEMP",), "degC", 1),
}
_OTHERS = re.compile(r"(?:HR|IBI|tags\w*)\.csv|info\.txt", re.IGNORECASE)
_NUMBER = r"\s*-?\d{1,12}(?:\.\d{0,9})?\s*"
_LINE = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{0,2}}")
_FIRST_YEAR_S, _LAST_YEAR_S = 1e9, 1e10
_MAX_MEMBERS = 1000
_ROWS_AT_ONCE = 250_000
_ERRORS = (*TEXT_ERRORS, zipfile.BadZipFile, NotImplementedError, RuntimeError, OverflowError)
_EXPECTED = "a start in seconds since 1970, sampling rate in Hz, and then one line per sample"


def _is_sensor(head: Head) -> bool:
    if head.path.stem not in _SENSORS:
        return False
    return _begins_as_sensor(head.lines(2), len(_SENSORS[head.path.stem][0]))


def _begins_as_sensor(lines: list[str], num_columns: int) -> bool:
    """Return whether two lines are the start and the rate of a sensor, once for each column."""
    if len(lines) < 2 or not all(_LINE.fullmatch(line) for line in lines):
        return False
    starts, rates = ([float(cell) for cell in line.split(",")] for line in lines)
    same = len(starts) == len(rates) == num_columns and {*starts[1:]} <= {starts[0]}
    return same and _FIRST_YEAR_S < starts[0] < _LAST_YEAR_S and 0 < rates[0] <= 1000


def _is_zip(head: Head) -> bool:
    if not head.data.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(head.path) as archive:
            names = {Path(name).name for name in archive.namelist()[:_MAX_MEMBERS]}
    except _ERRORS:
        return False
    return len(names & {f"{sensor}.csv" for sensor in _SENSORS}) > 1


def _parts(path: Path, names: Collection[str]) -> frozenset[str]:
    """Return the names of the files that belong to the recording ``path``."""
    if path.stem != _first_sensor(names):
        return frozenset()
    others = {name for name in names if _OTHERS.fullmatch(name)}
    return frozenset(others | {f"{sensor}.csv" for sensor in _SENSORS} - {path.name}) & set(names)


def _first_sensor(names: Collection[str]) -> str:
    return next((sensor for sensor in _SENSORS if f"{sensor}.csv" in names), "")


def _sensors_beside(path: Path) -> dict[str, Path]:
    paths = {sensor: path.with_name(f"{sensor}.csv") for sensor in _SENSORS}
    return {sensor: found for sensor, found in paths.items() if found.is_file()}


def _companions(path: Path) -> tuple[str, ...]:
    return tuple(found.name for found in _sensors_beside(path).values() if found != path)


def _frames_of_folder(path: Path) -> Frames:
    """Read the sensors beside a file.

    Raises:
        UnreadableError: a file is broken, or the sensors have no time in common.
        DataError: the file is not the first sensor of its folder.
    """
    found = _sensors_beside(path)
    first = next(iter(found.values()))
    if first != path:
        raise DataError(
            f"{path} is one sensor of an Empatica E4, whose recording is {first.name} with the "
            f"other sensors beside it; list {first.name} only."
        )
    sensors = []
    for sensor, part in found.items():
        with open_text(part) as (text, _):
            sensors.append(_read_sensor(text, sensor, str(part)))
    return as_frames(_with_samples(sensors, str(path.parent)), str(path.parent))


def _frames_of_zip(path: Path) -> Frames:
    """Read the sensors in a zip.

    Raises:
        UnreadableError: the zip or a file in it is broken, or the sensors have no time in common.
        DataError: it holds several recordings, or expands without bound.
    """
    with (
        name_file_in_errors(path, "a zip of an Empatica E4", _ERRORS),
        zipfile.ZipFile(path) as archive,
    ):
        members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = Path(info.filename)
            if name.suffix == ".csv" and name.stem in _SENSORS and "__MACOSX" not in name.parts:
                if name.stem in members:
                    raise DataError(
                        f"{path} holds {name.name} twice ({members[name.stem].filename}, "
                        f"{info.filename}), where one recording is expected; unpack it, and give "
                        "its folders."
                    )
                members[name.stem] = info
        sensors = []
        for sensor in (sensor for sensor in _SENSORS if sensor in members):
            info = members[sensor]
            where = f"{path}, member {info.filename!r}"
            check_memory(where, info.file_size, info.compress_size)
            with archive.open(info) as file:
                text = CheckedText(
                    io.TextIOWrapper(file, encoding="utf-8-sig", newline=""),
                    path,
                    info.file_size + 1,
                )
                sensors.append(_read_sensor(text, sensor, where))
    return as_frames(_with_samples(sensors, str(path)), str(path))


def _with_samples(sensors: list[Sensor], where: str) -> list[Sensor]:
    """Return the sensors that recorded anything: one that is switched off has an empty file."""
    filled = [sensor for sensor in sensors if len(sensor.values)]
    if not filled:
        raise UnreadableError(f"{where}: no sensor of the Empatica E4 has samples; exclude it.")
    return filled


def _read_sensor(text: CheckedText, sensor: str, where: str) -> Sensor:
    import pandas

    names, unit, divisor = _SENSORS[sensor]
    no_samples = Sensor(names, unit, np.empty((0, len(names)), np.float32), 1.0, 0.0)
    with name_file_in_errors(Path(where), _EXPECTED, (*_ERRORS, pandas.errors.ParserError)):
        lines = [text.readline().rstrip("\r\n") for _ in range(2)]
        if not any(lines):
            return no_samples
        lines[0] = lines[0].removeprefix("\ufeff")
        if not _begins_as_sensor(lines, len(names)):
            raise UnreadableError(
                f"{where} begins with {lines[0][:60]!r} and {lines[1][:60]!r}; {_EXPECTED}, in "
                f"{len(names)} columns, are expected. Export the recording again, or exclude it."
            )
        start_s, rate_hz = (float(line.split(",")[0]) for line in lines)
        pieces, line = [no_samples.values], 3
        try:
            for frame in pandas.read_csv(
                text, header=None, chunksize=_ROWS_AT_ONCE, skip_blank_lines=False
            ):
                values = _numbers(frame, len(names), line, where)
                pieces.append(to_float32(values / divisor))
                line += len(frame)
        except pandas.errors.EmptyDataError:
            return no_samples
    return Sensor(names, unit, np.concatenate(pieces), rate_hz, start_s)


def _numbers(frame: "pandas.DataFrame", num_columns: int, line: int, where: str) -> np.ndarray:
    """Return a piece as float64 [n, num_columns]; ``line`` is the number of its first line.

    Raises:
        UnreadableError: a cell is no number, or there are other columns.
    """
    again = "Export the recording again, or exclude it."
    if frame.shape[1] != num_columns:
        raise UnreadableError(
            f"{where}, line {line}: {frame.shape[1]} columns, where {num_columns} are expected. "
            f"{again}"
        )
    values = np.full(frame.shape, np.nan)
    for column in range(num_columns):
        values[:, column], text = parse_numbers(frame[column], ".")
        missing = ~np.isfinite(values[:, column])
        if text is not None or missing.any():
            row = int(missing.argmax()) if text is None else text
            raise UnreadableError(
                f"{where}, line {line + row}: column {column + 1} reads "
                f"{str(frame[column].iloc[row])[:40]!r}, where a number is expected. {again}"
            )
    return values


_NAMES, _UNITS = "the names of the sensors", "the format (info.txt of the export)"


def _reader(name: str) -> Reader:
    of_zip = name.endswith("(zip)")
    origin = Origin(format=name, rate="line 2 of each sensor", names=_NAMES, units=_UNITS)
    if of_zip:
        return frames_reader(_frames_of_zip, lambda path: (), origin, is_folder=False)
    return frames_reader(_frames_of_folder, _companions, origin, is_folder=True)


EMPATICA_E4 = VendorFormat(
    "Empatica E4 (folder)",
    (".csv",),
    _is_sensor,
    _reader("Empatica E4 (folder)"),
    _parts,
    tuple(f"{sensor}.csv" for sensor in _SENSORS),
)
EMPATICA_E4_ZIP = VendorFormat(
    "Empatica E4 (zip)", (".zip",), _is_zip, _reader("Empatica E4 (zip)")
)
