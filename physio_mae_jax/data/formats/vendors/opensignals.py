"""Text files of OpenSignals, by PLUX, for BITalino and biosignalsplux.

The line ``# OpenSignals Text File Format`` is followed by a comment with a JSON object: for each
device, by its address, the ``sampling rate``, the ``column`` names, the ``channels`` with a
``sensor`` and a ``label`` each, and the ``resolution`` in bits. ``# EndOfHeader`` is followed by
one line per sample, with columns separated by tabs.

Samples are counts of the converter unless ``convertedValues`` is set. The ECG sensors of both
families have a published transfer function, ECG = (counts / 2^n - 1/2) VCC / gain, with VCC 3.3 V
and gain 1100 (BITalino), 3.0 V and 1000 (biosignalsplux), by which the ECG is converted to mV.
Other sensors differ between boards, which the file does not name; they are read in counts, without
a unit.
"""

import json
import re
from collections import Counter
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.vendors.text_head import first_lines, table_head
from physio_mae_jax.data.formats.vendors.text_table import TextColumn, TextTable, text_reader
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.types import JsonObject

_NAME = "OpenSignals text"
_TITLE = "# OpenSignals Text File Format"
_END = "# EndOfHeader"
_HEAD_LINES = 40
_MAX_CHANNELS = 64
# Family of devices -> supply in V, and gain of its ECG sensor.
_ECG_SENSORS = {"bitalino": (3.3, 1100.0), "biosignalsplux": (3.0, 1000.0)}
_MV_PER_V = 1000.0
_BOARD = re.compile(r"(?:BIT(?:REV)?|BITREV|PLUX)$", re.IGNORECASE)
_SENSORS = {"resp": "RESP", "respiration": "RESP", "bvp": "PPG", "pzt": "RESP", "temp": "TEMP"}
# Column of BITalino with a sample counter of four bits.
_COUNTER = ("nSeq", 16)


def _is_open_signals(head: Head) -> bool:
    return head.lines(1)[0].strip().startswith(_TITLE)


def _describe(path: Path) -> TextTable:
    lines, encoding = first_lines(path, _HEAD_LINES)
    end = next((i for i, line in enumerate(lines) if line.strip() == _END), None)
    device = _device(path, lines[1 : end or 2])
    if end is None:
        raise UnreadableError(
            f"{path} has no line {_END!r} within {_HEAD_LINES} lines; copy the file "
            "again, or exclude it."
        )
    columns = _texts(device, "column", path)
    channels = _channels(device, columns, path)
    width = len(lines[end + 1].rstrip("\t").split("\t")) if end + 1 < len(lines) else 0
    if width and width != len(columns):
        raise UnreadableError(
            f"{path}, line {end + 2}: {width} cells; expected {len(columns)}, the columns of its "
            f"head ({', '.join(columns)[:100]}). Export the recording again, or exclude the file."
        )
    family = str(device.get("device", ""))
    counter = _COUNTER[0] in columns and family.startswith("bitalino")
    converted = [c for c in channels if c.unit]
    return TextTable(
        format=_NAME,
        head=table_head(path, columns, delimiter="\t", encoding=encoding, first_line=end + 2),
        columns=channels,
        origin=Origin(
            format=_NAME,
            rate="'sampling rate' of its head",
            names="'sensor' and 'label' of its head",
            units="the transfer function of the sensor" if converted else "",
        ),
        sampling_rate_hz=_rate_hz(device, path),
        counter=(columns.index(_COUNTER[0]), _COUNTER[1]) if counter else None,
        notes=_notes(channels, device),
    )


def _device(path: Path, lines: list[str]) -> JsonObject:
    """Return the description of the one device."""
    text = next((line[1:].strip() for line in lines if line.startswith("# {")), "")
    try:
        devices = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(
            f"{path}, line 2: expected a JSON object, the head of an OpenSignals file "
            f"({str(error)[:100]}). Export the recording again, or exclude the file."
        ) from error
    found = [device for device in devices.values() if isinstance(device, dict)] if isinstance(
        devices, dict
    ) else []  # fmt: skip
    if len(found) != 1:
        raise DataError(
            f"{path} contains {len(found)} devices; one is expected. Export each device to its "
            "own file."
        )
    return found[0]


def _texts(device: JsonObject, key: str, path: Path) -> list[str]:
    values = device.get(key)
    if isinstance(values, list) and values and all(isinstance(v, str) for v in values):
        return values
    raise UnreadableError(
        f"{path}: {key!r} of its head reads {str(values)[:60]}; a list of texts is expected. "
        "Export the recording again, or exclude the file."
    )


def _rate_hz(device: JsonObject, path: Path) -> float:
    rate_hz = device.get("sampling rate")
    if isinstance(rate_hz, int | float) and not isinstance(rate_hz, bool) and rate_hz > 0:
        return float(rate_hz)
    raise UnreadableError(
        f"{path}: 'sampling rate' of its head reads {str(rate_hz)[:60]}; a number of samples per "
        "second is expected. Export the recording again, or exclude the file."
    )


def _channels(device: JsonObject, columns: list[str], path: Path) -> tuple[TextColumn, ...]:
    labels, sensors = _texts(device, "label", path), _texts(device, "sensor", path)
    missing = [label for label in labels if label not in columns]
    if missing or len(labels) != len(sensors) or not len(labels) <= _MAX_CHANNELS:
        raise UnreadableError(
            f"{path}: its head has {len(labels)} labels for {len(sensors)} sensors, "
            f"{', '.join(missing)[:60] or 'none'} of them not among its columns; one label and one "
            "sensor for each channel are expected. Export it again, or exclude the file."
        )
    kinds = [_BOARD.sub("", sensor.strip()) for sensor in sensors]
    kinds = [_SENSORS.get(kind.lower(), kind) for kind in kinds]
    counts = Counter(kinds)
    found = []
    for label, kind in zip(labels, kinds, strict=True):
        named = kind and kind.upper() not in ("RAW", "CUSTOM", "OTHER")
        # The name 'A1' would mean the reference electrode of an EEG.
        plain = kind if named else "input"
        name = kind if named and counts[kind] == 1 else f"{plain} {label}"
        gain, offset, unit = _transfer(device, kind, label, columns)
        found.append(TextColumn(columns.index(label), label, name, unit, gain, offset))
    return tuple(found)


def _transfer(
    device: JsonObject, kind: str, label: str, columns: list[str]
) -> tuple[float, float, str]:
    """Return gain, offset and unit of a channel."""
    family = next((f for f in _ECG_SENSORS if str(device.get("device", "")).startswith(f)), "")
    bits = _bits(device, columns.index(label), columns)
    if canonical_name(kind) != "ECG" or not family or not bits or device.get("convertedValues"):
        return 1.0, 0.0, ""
    supply_v, gain = _ECG_SENSORS[family]
    range_mv = supply_v / gain * _MV_PER_V
    return range_mv / 2**bits, -range_mv / 2, "mV"


def _bits(device: JsonObject, column: int, columns: list[str]) -> int:
    """Return the resolution of a column in bits, 0 if the head does not state it."""
    resolution = device.get("resolution")
    if not isinstance(resolution, list):
        return 0
    # One for each column, or for each channel.
    index = column if len(resolution) == len(columns) else column - (len(columns) - len(resolution))
    bits = resolution[index] if 0 <= index < len(resolution) else 0
    return bits if isinstance(bits, int) and 0 < bits <= 32 else 0


def _notes(channels: tuple[TextColumn, ...], device: JsonObject) -> tuple[str, ...]:
    raw = [c.name for c in channels if not c.unit]
    if not raw or device.get("convertedValues"):
        return ()
    return (f"{', '.join(raw)} are counts of a converter in no physical unit",)


OPENSIGNALS = VendorFormat(_NAME, (".txt", ".gz"), _is_open_signals, text_reader(_describe))
