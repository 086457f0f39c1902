"""The Simple Text Format of BioSPPy (``biosppy.storage.store_txt``), the format of its examples.

Comments with keys, such as ``# Sampling Rate (Hz):= 1000.00`` and ``# Labels:= ECG``, are followed
by one line per sample, with columns separated by tabs. The format has no units. If a file states
its ``Resolution``, samples are counts of a converter with that number of bits.
"""

import re
from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.vendors.text_head import first_lines, table_head
from physio_mae_jax.data.formats.vendors.text_table import TextColumn, TextTable, text_reader
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat

_TITLE = "# Simple Text Format"
_KEY = re.compile(r"#\s*([^:=]{1,60}?)\s*:=\s*(.*)")
_MAX_KEYS = 100


def _is_simple_text(head: Head) -> bool:
    return head.lines(1)[0].strip() == _TITLE


def _describe(path: Path) -> TextTable:
    lines, encoding = first_lines(path, _MAX_KEYS)
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), _MAX_KEYS)
    found = [_KEY.fullmatch(line.strip()) for line in lines[1:count]]
    keys = {match[1].lower(): match[2].strip() for match in found if match}
    rate_hz = _rate_hz(keys.get("sampling rate (hz)", ""), path)
    labels = [label.strip() for label in keys.get("labels", "").split("\t")]
    width = len(lines[count].split("\t")) if count < len(lines) else 0
    if len(labels) != width or not all(labels):
        raise UnreadableError(
            f"{path}: '# Labels:=' names {len([x for x in labels if x])} columns, line "
            f"{count + 1} has {width}; one label for each column, separated by tabs, is expected. "
            "Correct the labels, or exclude the file."
        )
    resolution = keys.get("resolution", "")
    notes = (
        f"samples are counts of a converter ({resolution[:20]} bits) in no physical unit",
    ) * bool(resolution)
    return TextTable(
        format=BIOSPPY_TEXT_NAME,
        head=table_head(path, labels, delimiter="\t", encoding=encoding, first_line=count + 1),
        columns=tuple(TextColumn(i, label, label) for i, label in enumerate(labels)),
        origin=Origin(
            format=BIOSPPY_TEXT_NAME, rate="its key 'Sampling Rate (Hz)'", names="its key 'Labels'"
        ),
        sampling_rate_hz=rate_hz,
        notes=notes,
    )


def _rate_hz(text: str, path: Path) -> float:
    try:
        rate_hz = float(text)
    except ValueError:
        rate_hz = 0.0
    if not rate_hz > 0:
        raise UnreadableError(
            f"{path}: '# Sampling Rate (Hz):=' reads {text[:40]!r}; a number of samples per second "
            "is expected. Correct it, or exclude the file."
        )
    return rate_hz


BIOSPPY_TEXT_NAME = "BioSPPy text"
BIOSPPY_TEXT = VendorFormat(
    BIOSPPY_TEXT_NAME, (".txt", ".gz"), _is_simple_text, text_reader(_describe)
)
