"""Exports of the Empatica E4 wristband: a folder or a zip file with one CSV file per sensor.

In each file the first line is the start in seconds since 1970 (UTC) and the second the sampling
rate in Hz, followed by one line per sample (``info.txt`` of the export). BVP has no unit, EDA is in
microsiemens, TEMP in degrees Celsius and ACC (x, y, z) in 1/64 g. HR, IBI and tags are derived from
these and are not signals.

The recording of a folder is named by ``BVP.csv``, or by the first of ACC, EDA and TEMP if there is
no BVP. ``read_sensors`` returns the sensors at their own rates, for callers that resample them
differently.
"""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from physio_mae_jax.data.formats.csv_table import parse_numbers
from physio_mae_jax.data.formats.csv_text import TEXT_ERRORS, CheckedText, open_text
from physio_mae_jax.data.formats.file_facts import UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader
from physio_mae_jax.data.formats.time_column import to_float32
from physio_mae_jax.data.formats.vendors.sensor_folder import SensorFolder
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

ACC_COUNTS_PER_G = 64


class SensorKind(NamedTuple):
    """A sensor of the E4.

    Attributes:
        channels: Canonical channel names [k].
        unit: Unit of the channels, '' if there is none.
        rate_hz: Nominal sampling rate in Hz.
        divisor: Divisor that converts exported values to ``unit``.
    """

    channels: tuple[str, ...]
    unit: str
    rate_hz: float
    divisor: int


# By name of the file; the first that exists names the recording.
SENSORS: Mapping[str, SensorKind] = {
    "BVP": SensorKind(("PPG",), "", 64.0, 1),
    "ACC": SensorKind(("ACC_X", "ACC_Y", "ACC_Z"), "g", 32.0, ACC_COUNTS_PER_G),
    "EDA": SensorKind(("EDA",), "uS", 4.0, 1),
    "TEMP": SensorKind(("TEMP",), "degC", 4.0, 1),
}
_OTHERS = re.compile(r"(?:HR|IBI|tags\w*)\.csv|info\.txt", re.IGNORECASE)
_FOLDER = SensorFolder(
    "an Empatica E4", tuple(SENSORS), lambda name: _OTHERS.fullmatch(name) is not None
)
_NUMBER = r"\s*-?\d{1,12}(?:\.\d{0,9})?\s*"
_LINE = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{0,2}}")
_FIRST_YEAR_S, _LAST_YEAR_S = 1e9, 1e10
_MAX_RATE_HZ = 1000
_MAX_MEMBERS = 1000
_ROWS_AT_ONCE = 250_000
_ERRORS = (
    *(*TEXT_ERRORS, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError, OverflowError, KeyError),
)
_EXPECTED = "a start in seconds since 1970, a sampling rate in Hz, and then one line per sample"
_AGAIN = "Export the recording again, or exclude it."


def _is_sensor(head: Head) -> bool:
    if head.path.stem not in SENSORS:
        return False
    return _begins_as_sensor(head.lines(2), len(SENSORS[head.path.stem].channels))


def _begins_as_sensor(lines: list[str], num_columns: int) -> bool:
    """Return whether two lines are a start and a rate, equal in all columns of the sensor."""
    if len(lines) < 2 or not all(_LINE.fullmatch(line) for line in lines):
        return False
    starts, rates = ([float(cell) for cell in line.split(",")] for line in lines)
    if len(starts) != num_columns or len(rates) != num_columns:
        return False
    same = len(set(starts)) == len(set(rates)) == 1
    return same and _FIRST_YEAR_S < starts[0] < _LAST_YEAR_S and 0 < rates[0] <= _MAX_RATE_HZ


def _is_zip(head: Head) -> bool:
    if not head.data.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(head.path) as archive:
            names = {Path(name).name for name in archive.namelist()[:_MAX_MEMBERS]}
    except _ERRORS:
        return False
    return len(names & {f"{sensor}.csv" for sensor in SENSORS}) > 1


def read_sensors(path: Path) -> dict[str, Sensor]:
    """Read the sensors of an export, each at its own rate.

    Args:
        path: Folder of the export, or a zip file.

    Returns:
        Name of the file -> sensor with float64 samples in its unit; n = 0 if the sensor was off.
        Sensors without a file are absent.

    Raises:
        UnreadableError: a file is broken.
        DataError: the zip contains several recordings, or does not fit into memory.
    """
    if not path.is_dir():
        return _read_zip(path)
    sensors = {}
    for sensor, part in _FOLDER.files(path).items():
        with open_text(part) as (text, _):
            sensors[sensor] = _read_sensor(text, sensor, str(part))
    return sensors


def _read_zip(path: Path) -> dict[str, Sensor]:
    sensors = {}
    with (
        name_file_in_errors(path, "a zip file of an Empatica E4", _ERRORS),
        zipfile.ZipFile(path) as archive,
    ):
        members = _sensor_members(path, archive)
        for sensor in (sensor for sensor in SENSORS if sensor in members):
            info = members[sensor]
            where = f"{path}, member {info.filename!r}"
            check_memory(where, info.file_size, info.compress_size)
            with archive.open(info) as file:
                text = CheckedText(
                    io.TextIOWrapper(file, encoding="utf-8-sig", newline=""),
                    path,
                    info.file_size + 1,
                )
                sensors[sensor] = _read_sensor(text, sensor, where)
    return sensors


def _sensor_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = Path(info.filename)
        if name.suffix != ".csv" or name.stem not in SENSORS or "__MACOSX" in name.parts:
            continue
        if name.stem in members:
            raise DataError(
                f"{path} contains {name.name} twice ({members[name.stem].filename}, "
                f"{info.filename}); one recording per zip file is expected. Unpack it, and give "
                "its folders."
            )
        members[name.stem] = info
    return members


def _read_sensor(text: CheckedText, sensor: str, where: str) -> Sensor:
    import pandas

    names, unit, rate_hz, divisor = SENSORS[sensor]
    no_samples = Sensor(names, unit, np.empty((0, len(names))), rate_hz, 0.0)
    with name_file_in_errors(Path(where), _EXPECTED, (*_ERRORS, pandas.errors.ParserError)):
        lines = [text.readline().rstrip("\r\n") for _ in range(2)]
        if not any(lines):
            return no_samples
        lines[0] = lines[0].removeprefix("\ufeff")
        if not _begins_as_sensor(lines, len(names)):
            raise UnreadableError(
                f"{where} begins with {lines[0][:60]!r} and {lines[1][:60]!r}; expected "
                f"{_EXPECTED}, in {len(names)} columns. {_AGAIN}"
            )
        start_s, rate_hz = (float(line.split(",")[0]) for line in lines)
        first_sample = text.peek_line()
        if not first_sample:
            return no_samples
        if not first_sample.strip():  # which pandas takes for an empty file
            raise UnreadableError(f"{where}, line 3 is empty. {_AGAIN}")
        pieces, line = [], 3
        for frame in pandas.read_csv(
            text, header=None, chunksize=_ROWS_AT_ONCE, skip_blank_lines=False
        ):
            pieces.append(_numbers(frame, len(names), line, where) / divisor)
            line += len(frame)
    return Sensor(names, unit, np.concatenate(pieces), rate_hz, start_s)


def _numbers(frame: "pandas.DataFrame", num_columns: int, line: int, where: str) -> np.ndarray:
    """Return a piece as float64 [n, num_columns]; ``line`` is the number of its first line.

    Raises:
        UnreadableError: a cell is not a finite number, or the number of columns differs.
    """
    if frame.shape[1] != num_columns:
        raise UnreadableError(
            f"{where}, line {line}: {frame.shape[1]} columns; {num_columns} are expected. {_AGAIN}"
        )
    values = np.full(frame.shape, np.nan)
    for column in range(num_columns):
        values[:, column], text = parse_numbers(frame[column], ".")
        missing = ~np.isfinite(values[:, column])
        if text is not None or missing.any():
            row = int(missing.argmax()) if text is None else text
            raise UnreadableError(
                f"{where}, line {line + row}: column {column + 1} reads "
                f"{str(frame[column].iloc[row])[:40]!r}, where a number is expected. {_AGAIN}"
            )
    return values


def _frames_of_folder(path: Path) -> Frames:
    """Read the sensors beside a file as frames.

    Raises:
        UnreadableError: a file is broken, or the sensors do not overlap in time.
        DataError: the file is not the first sensor of its folder.
    """
    _FOLDER.check_first(path)
    return _as_frames(path.parent)


def _as_frames(path: Path) -> Frames:
    """Read the sensors of an export that have samples as frames, float32."""
    sensors = [sensor for sensor in read_sensors(path).values() if len(sensor.values)]
    if not sensors:
        raise UnreadableError(f"{path}: no sensor of the Empatica E4 has samples; exclude it.")
    return as_frames(
        [sensor._replace(values=to_float32(sensor.values)) for sensor in sensors], str(path)
    )


_NAMES, _UNITS = "the names of the sensors", "the format (info.txt of the export)"


def _reader(name: str) -> Reader:
    of_zip = name.endswith("(zip)")
    origin = Origin(format=name, rate="line 2 of each sensor", names=_NAMES, units=_UNITS)
    if of_zip:
        return frames_reader(_as_frames, lambda path: (), origin, is_folder=False)
    return frames_reader(_frames_of_folder, _FOLDER.companions, origin, is_folder=True)


EMPATICA_E4 = VendorFormat(
    "Empatica E4 (folder)",
    (".csv",),
    _is_sensor,
    _reader("Empatica E4 (folder)"),
    _FOLDER.parts,
    _FOLDER.firsts,
)
EMPATICA_E4_ZIP = VendorFormat(
    "Empatica E4 (zip)", (".zip",), _is_zip, _reader("Empatica E4 (zip)")
)
