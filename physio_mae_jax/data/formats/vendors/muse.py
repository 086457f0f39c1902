"""CSV files of Muse headbands, as exported by Mind Monitor and muselsl.

Files of Mind Monitor (https://mind-monitor.com, technical manual) have a line of names that begins
with ``TimeStamp``, with band powers, ``RAW_TP9, RAW_AF7, RAW_AF8, RAW_TP10`` and ``AUX`` in
microvolts, motion sensors and states. There is one line per sample of the EEG if the recording
interval is 'constant'; blinks, markers and connections are lines without samples. Times are those
at which packets of 12 samples arrived. Files of muselsl have ``timestamps,TP9,AF7,AF8,TP10`` with
seconds since 1970.

The EEG has 256 Hz (220 Hz in the Muse of 2014). Motion sensors and PPG are slower, and their values
are repeated on consecutive lines; they are read only if a manifest lists them. The module is not
tested on real exports, but on files written after this description.
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

_MIND_MONITOR, _MUSELSL = "Muse CSV (Mind Monitor)", "Muse CSV (muselsl)"
_ELECTRODES = ("TP9", "AF7", "AF8", "TP10")
_RATES_HZ = (256.0, 220.0)
_JITTER_S = 0.5
_OTHERS = {
    **{f"Accelerometer_{axis}": (f"ACC_{axis}", "g") for axis in "XYZ"},
    **{f"Gyro_{axis}": (f"GYRO_{axis}", "deg/s") for axis in "XYZ"},
}
_SLOWER = re.compile(r"AUX\w*|Right AUX|Left AUX|PPG_\w+|Optics\w*", re.IGNORECASE)


def _is_mind_monitor(head: Head) -> bool:
    names = cells_of(head.lines(1)[0].lstrip("\ufeff"), ",")
    return names[:1] == ["TimeStamp"] and {f"RAW_{e}" for e in _ELECTRODES} <= set(names)


def _is_muselsl(head: Head) -> bool:
    names = cells_of(head.lines(1)[0].lstrip("\ufeff"), ",")
    return tuple(names[:5]) == ("timestamps", *_ELECTRODES)


def _describe_mind_monitor(path: Path) -> TextTable:
    return _describe(path, _MIND_MONITOR, "RAW_", None)


def _describe_muselsl(path: Path) -> TextTable:
    return _describe(path, _MUSELSL, "", "s")


def _describe(path: Path, name: str, prefix: str, unit: str | None) -> TextTable:
    lines, encoding = first_lines(path, 1)
    names = cells_of(lines[0].lstrip("\ufeff"), ",")
    repeated = [text for text in set(names) if text and names.count(text) > 1]
    if repeated:
        raise UnreadableError(
            f"{path}: line 1 names column {repeated[0][:40]!r} twice; export the file again."
        )
    return TextTable(
        format=name,
        head=table_head(path, names, delimiter=",", encoding=encoding, first_line=2),
        columns=_columns(names, prefix),
        origin=Origin(
            format=name,
            rate=f"{_RATES_HZ[0]:g} or {_RATES_HZ[1]:g} Hz of the Muse, whichever column "
            f"{names[0]!r} agrees with",
            names="line 1",
            units="the format",
        ),
        clock=Clock(0, names[0], unit, _JITTER_S, _RATES_HZ),
        skips_events=True,
    )


def _columns(names: list[str], prefix: str) -> tuple[TextColumn, ...]:
    found = []
    for index, name in enumerate(names):
        electrode = name.removeprefix(prefix)
        if electrode in _ELECTRODES and name.startswith(prefix):
            found.append(TextColumn(index, name, f"EEG_{electrode}", "uV"))
        elif name in _OTHERS:
            shown, unit = _OTHERS[name]
            found.append(TextColumn(index, name, shown, unit, is_default=False))
        elif _SLOWER.fullmatch(name):
            found.append(TextColumn(index, name, name, is_default=False))
    return tuple(found)


MIND_MONITOR = VendorFormat(
    _MIND_MONITOR, (".csv", ".gz"), _is_mind_monitor, text_reader(_describe_mind_monitor)
)
MUSELSL = VendorFormat(_MUSELSL, (".csv", ".gz"), _is_muselsl, text_reader(_describe_muselsl))
