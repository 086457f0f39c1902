"""CSV files of the Empatica EmbracePlus: one per sensor, as converted by Empatica's script.

``bvp.csv``, ``accelerometer.csv``, ``gyroscope.csv``, ``eda.csv`` and ``temperature.csv`` of a
folder are one recording. Each has a line of names that begins with ``unix_timestamp``, in
microseconds since 1970, and one line per sample. BVP has no unit; EDA is in microsiemens, the
temperature in degrees Celsius, the acceleration in g and the rotation in degrees per second
(Empatica support, "How do I extract raw data from Avro files"). An acceleration beyond the 16 g of
the sensor is in counts that were not converted. Digital biomarkers, one value per minute, are not
signals and are rejected.

The module is not tested on real exports, but on files written after this description.
"""

from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import FileFacts
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.vendors.sensor_folder import SensorFolder
from physio_mae_jax.data.formats.vendors.sensor_frames import (
    Frames,
    Sensor,
    as_frames,
    frames_reader,
)
from physio_mae_jax.data.formats.vendors.text_head import cells_of, first_lines, table_head
from physio_mae_jax.data.formats.vendors.text_table import (
    Clock,
    TextColumn,
    TextTable,
    read_text_table,
)
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.errors import DataError

_NAME = "Empatica EmbracePlus CSV"
_TIME = "unix_timestamp"
_XYZ = ("x", "y", "z")
# Name of the file -> columns, channels, unit, and sampling rate in Hz; the first is the recording.
_SENSORS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, float]] = {
    "bvp": (("bvp",), ("PPG",), "", 64.0),
    "accelerometer": (_XYZ, ("ACC_X", "ACC_Y", "ACC_Z"), "g", 64.0),
    "gyroscope": (_XYZ, ("GYRO_X", "GYRO_Y", "GYRO_Z"), "deg/s", 64.0),
    "eda": (("eda",), ("EDA",), "uS", 4.0),
    "temperature": (("temperature",), ("TEMP",), "degC", 1.0),
}
_OTHERS = frozenset({"tags.csv", "steps.csv", "systolic_peaks.csv"})
_FOLDER = SensorFolder("an EmbracePlus", tuple(_SENSORS), _OTHERS.__contains__)
_RANGE_G = 16.0
_JITTER_S = 0.5


def _is_sensor(head: Head) -> bool:
    if head.path.stem not in _SENSORS:
        return False
    names = cells_of(head.lines(1)[0].lstrip("\ufeff"), ",")
    return _TIME in names and set(_SENSORS[head.path.stem][0]) <= set(names)


def _frames(path: Path) -> Frames:
    """Read the sensors beside a file.

    Raises:
        UnreadableError: a file is broken, or the sensors have no time in common.
        DataError: the file is not the first sensor of its folder.
    """
    _FOLDER.check_first(path)
    parts = _FOLDER.files(path.parent).values()
    return as_frames([_read_sensor(part) for part in parts], str(path.parent))


def _read_sensor(path: Path) -> Sensor:
    columns, channels, unit, nominal_hz = _SENSORS[path.stem]
    lines, encoding = first_lines(path, 1)
    names = cells_of(lines[0].lstrip("\ufeff"), ",")
    missing = [name for name in (_TIME, *columns) if name not in names]
    if missing:
        raise DataError(
            f"{path}, line 1: no column {', '.join(missing)}; {', '.join((_TIME, *columns))} are "
            "expected for this sensor. Export it again, or remove the file."
        )
    table = TextTable(
        format=_NAME,
        head=table_head(path, names, delimiter=",", encoding=encoding, first_line=2),
        columns=tuple(
            TextColumn(names.index(column), column, channel, unit)
            for column, channel in zip(columns, channels, strict=True)
        ),
        origin=_ORIGIN,
        clock=Clock(names.index(_TIME), _TIME, "us", _JITTER_S, (nominal_hz,)),
    )
    read = read_text_table(path, table)
    if unit == "g" and np.nanmax(np.abs(read.values), initial=0.0) > _RANGE_G:
        unit = ""
    return Sensor(channels, unit, read.values, read.rate_hz, read.start_s)


def _is_biomarker(head: Head) -> bool:
    names = cells_of(head.lines(1)[0].lstrip("\ufeff"), ",")
    return names[:3] == ["timestamp_unix", "timestamp_iso", "participant_full_id"]


def _reject_biomarker(path: Path, entry: ManifestEntry) -> FileFacts:
    raise DataError(
        f"{path} contains digital biomarkers of an Empatica EmbracePlus, one value per minute, "
        "which are not a signal. Export the raw data (Avro) as CSV with Empatica's script, and "
        "give the folder of bvp.csv, eda.csv and the other sensors; or exclude this file."
    )


_ORIGIN = Origin(
    format=_NAME,
    rate="the nominal rate of each sensor, as its times agree",
    names="the names of the sensors",
    units="the format",
)
_READER = frames_reader(_frames, _FOLDER.companions, _ORIGIN, is_folder=True)
EMBRACE_PLUS = VendorFormat(_NAME, (".csv",), _is_sensor, _READER, _FOLDER.parts, _FOLDER.firsts)
BIOMARKERS = VendorFormat(
    "Empatica EmbracePlus digital biomarkers",
    (".csv",),
    _is_biomarker,
    _READER._replace(probe=_reject_biomarker),
)
