"""Streams of Polar H10, OH1 and Verity Sense, as exported by Polar Sensor Logger and similar apps.

There is one file per stream, with cells separated by semicolons: ``Phone timestamp;sensor timestamp
[ns];`` and then ``timestamp [ms];ecg [uV]``, ``X [mg];Y [mg];Z [mg]``, ``X [dps];...``, or
``channel 0;channel 1;channel 2;ambient`` for PPG. Sensor timestamps are in nanoseconds since 2000.
The H10 records its ECG at 130 Hz (https://github.com/polarofficial/polar-ble-sdk, technical
documentation); rates of the other streams are estimated from the times. The module is not tested on
real exports, but on files written after this description.
"""

import re
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.vendors.text_head import cells_of, first_lines, table_head
from physio_mae_jax.data.formats.vendors.text_table import (
    Clock,
    TextColumn,
    TextTable,
    text_reader,
)
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat

_NAME = "Polar stream"
_SENSOR_TIME = "sensor timestamp [ns]"
_BEGINS = ("phone timestamp", _SENSOR_TIME)
_NAMED = re.compile(r"(.+?)\s*(?:\[(.+)\])?")
_ECG_HZ = 130.0
# A packet has up to 73 samples of ECG, which some versions give one timestamp.
_JITTER_S = 0.7
_AXES = {"mg": "ACC", "g": "ACC", "dps": "GYRO", "deg/s": "GYRO"}


def _is_polar(head: Head) -> bool:
    cells = [cell.lower() for cell in cells_of(head.lines(1)[0].lstrip("\ufeff"), ";")]
    return tuple(cells[:2]) == _BEGINS and len(cells) > 2


def _describe(path: Path) -> TextTable:
    (line,), encoding = first_lines(path, 1)
    names = cells_of(line.lstrip("\ufeff"), ";")
    while names and not names[-1]:
        names.pop()
    columns = _columns(names)
    if not columns:
        raise UnreadableError(
            f"{path}: none of its columns {', '.join(names)[:200]} is a stream of samples (ecg, "
            "X/Y/Z or channel 0 of PPG); heart rates and intervals are not signals. Exclude it."
        )
    is_ecg = any(column.name == "ECG" for column in columns)
    how = f"{_ECG_HZ:g} Hz of the H10, as its times agree" if is_ecg else "their mean step"
    return TextTable(
        format=_NAME,
        head=table_head(path, names, delimiter=";", encoding=encoding, first_line=2),
        columns=columns,
        origin=Origin(
            format=_NAME,
            rate=f"column {names[1]!r}: {how}",
            names="line 1",
            units="line 1" if any(column.unit for column in columns) else "",
        ),
        clock=Clock(1, names[1], "ns", _JITTER_S, (_ECG_HZ,) if is_ecg else ()),
    )


def _columns(names: list[str]) -> tuple[TextColumn, ...]:
    found = []
    for index, name in enumerate(names[2:], 2):
        match = _NAMED.fullmatch(name)
        if match is None:
            continue
        plain, unit = match[1].lower(), match[2] or ""
        if plain in ("ecg", "voltage"):
            found.append(TextColumn(index, name, "ECG", unit or "uV"))
        elif plain in ("x", "y", "z"):
            kind = _AXES.get(unit.lower(), "")
            shown = f"{kind or 'MAG'}_{plain.upper()}"
            found.append(TextColumn(index, name, shown, unit, is_default=bool(kind)))
        elif plain == "channel 0":
            found.append(TextColumn(index, name, "PPG"))
        elif re.fullmatch(r"channel \d{1,2}", plain):
            found.append(TextColumn(index, name, f"PPG {plain}", is_default=False))
    return tuple(found)


POLAR = VendorFormat(_NAME, (".txt", ".csv", ".gz"), _is_polar, text_reader(_describe))
