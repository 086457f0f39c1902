"""CSV exports of Shimmer sensors by Consensys, and by ShimmerCapture with the same names.

The file has an optional ``sep=`` line, a line of names ``<device>_<signal>_CAL`` or ``_RAW``, a
line of units, and one line per sample. The delimiter is a tab, comma or semicolon. If a signal has
both columns, the calibrated one is read. Signals with known names are read as channels; voltages of
expansion inputs, magnetometer and pressure are read only if a manifest lists them.

Timestamps of the receiver deviate from those of a constant rate by some tens of milliseconds.
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

_NAME = "Shimmer CSV"
_COLUMN = re.compile(r"(?P<device>\w*?)_?(?P<signal>[A-Za-z][\w.\-/]*)_(?P<kind>CAL|RAW)")
_SEPARATOR = re.compile(r"\"?sep=(.|\\t)\"?", re.IGNORECASE)
_TIMES = ("Timestamp_Unix", "Timestamp", "System_Timestamp_Unix", "System_Timestamp")
# Signal, without the resolution of its converter -> channel.
_CHANNELS = {
    **{f"Accel_LN_{axis}": f"ACC_{axis}" for axis in "XYZ"},
    **{f"Gyro_{axis}": f"GYRO_{axis}" for axis in "XYZ"},
    "GSR_Skin_Conductance": "EDA",
    **{"ECG_LA-RA": "I", "ECG_LL-RA": "II", "ECG_LL-LA": "III", "ECG_Vx-RL": "V"},
    **{"ECG_LA_RA": "I", "ECG_LL_RA": "II", "ECG_LL_LA": "III", "ECG_Vx_RL": "V"},
    **{"EMG_CH1": "EMG", "ECG_RESP": "RESP"},
    **{f"PPG_A{number}": "PPG" for number in (1, 12, 13, 14)},
}
_WIDE_RANGE = {f"Accel_WR_{axis}": f"ACC_{axis}" for axis in "XYZ"}
_BITS = re.compile(r"_(?:16|24)BIT$", re.IGNORECASE)
# States of the device, and values that it computes.
_NO_SIGNAL = re.compile(
    r"Battery|.*Range|.*Timestamp.*|Event_Marker|Packet_Reception.*|.*Status.*|.*(?:PPG|ECG)to\w+|"
    r".*IBI.*|.*Heart_Rate.*|GSR_Skin_Resistance",
    re.IGNORECASE,
)
_UNITS = {
    "m/(s^2)": "m/s^2",
    "m/(sec^2)": "m/s^2",
    "degrees celsius": "degC",
    "no_units": "",
    "no units": "",
    "degrees/s": "deg/s",
    "u_siemens": "uS",
    "microsiemens": "uS",
}
# From the length of a Bluetooth packet and the scheduling of the receiver.
_JITTER_S = 0.25


def _is_shimmer(head: Head) -> bool:
    lines = head.lines(2)
    line = lines[1] if _SEPARATOR.fullmatch(lines[0].strip()) and len(lines) > 1 else lines[0]
    names = [name for name in cells_of(line, _delimiter(line)) if name]
    matching = [m for m in map(_COLUMN.fullmatch, names) if m]
    times = any(any(t in name for t in _TIMES) for name in names)
    return len(names) > 1 and len(matching) == len(names) and times


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _describe(path: Path) -> TextTable:
    lines, encoding = first_lines(path, 3)
    row = 1 if _SEPARATOR.fullmatch(lines[0].strip()) else 0
    delimiter = _delimiter(lines[row])
    names, units = (cells_of(line, delimiter) for line in lines[row : row + 2])
    while names and not names[-1]:
        names.pop()
    if len(units) < len(names):
        raise UnreadableError(
            f"{path}, line {row + 2}: {len(units)} units for {len(names)} columns; a line of units "
            "below the names is expected. Export the recording again, or exclude the file."
        )
    signals = _signals(names)
    clock = next((i for t in _TIMES for i, (signal, _) in signals.items() if signal == t), None)
    if clock is None:
        raise UnreadableError(
            f"{path} has no column {' or '.join(_TIMES[:2])}; export it with its timestamps, or "
            "exclude the file."
        )
    return TextTable(
        format=_NAME,
        head=table_head(path, names, delimiter=delimiter, encoding=encoding, first_line=row + 3),
        columns=_columns(names, units, signals),
        origin=Origin(
            format=_NAME,
            rate=f"the mean step of column {names[clock]!r}",
            names=f"line {row + 1}",
            units=f"line {row + 2}",
        ),
        clock=Clock(clock, names[clock], _time_unit(units[clock]), _JITTER_S),
    )


def _time_unit(text: str) -> str:
    return {"ms": "ms", "s": "s", "us": "us", "milliseconds": "ms"}.get(text.lower(), "ms")


def _signals(names: list[str]) -> dict[int, tuple[str, bool]]:
    """Return index -> signal without its device, and whether it is calibrated."""
    device = _device(names)
    found = {}
    for index, name in enumerate(names):
        match = _COLUMN.fullmatch(name)
        if match:
            signal = name.removeprefix(device).removesuffix(f"_{match['kind']}").strip("_")
            found[index] = (_BITS.sub("", signal), match["kind"] == "CAL")
    return found


def _device(names: list[str]) -> str:
    """Return the prefix of all names up to an underscore, which is the name of the device."""
    first, last = min(names), max(names)
    shared = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    return first[: first.rfind("_", 0, shared) + 1]


def _columns(
    names: list[str], units: list[str], signals: dict[int, tuple[str, bool]]
) -> tuple[TextColumn, ...]:
    calibrated = {signal for signal, is_calibrated in signals.values() if is_calibrated}
    has_low_noise = any(signal.startswith("Accel_LN") for signal, _ in signals.values())
    known = _CHANNELS if has_low_noise else _CHANNELS | _WIDE_RANGE
    found: list[TextColumn] = []
    used: set[str] = set()
    for index, (signal, is_calibrated) in signals.items():
        if _NO_SIGNAL.fullmatch(signal) or (signal in calibrated and not is_calibrated):
            continue
        name = known.get(signal, "")
        # A second sensor of the same kind keeps its own name.
        is_default = bool(name) and name not in used
        used |= {name}
        unit = _UNITS.get(units[index].lower(), units[index]) if is_calibrated else ""
        shown = name if is_default else signal
        found.append(TextColumn(index, names[index], shown, unit, is_default=is_default))
    return tuple(found)


SHIMMER = VendorFormat(_NAME, (".csv", ".txt", ".tsv", ".gz"), _is_shimmer, text_reader(_describe))
