"""The ECG of an Apple Watch, as exported by the Health app: keys and values, followed by one lead.

The keys ``Sample Rate,512 hertz``, ``Lead,Lead I`` and ``Unit,µV`` precede the samples, one per
line; keys that identify the subject are not read. The file is parsed by the rules of text tables
(``csv_head``), as are exports in other languages if their keys are known.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.csv_table import load_csv, probe_csv
from physio_mae_jax.data.formats.file_facts import FileFacts, FileRecords
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.data.formats.reader import Reader, read_loaded
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat

_NAME = "Apple Watch ECG CSV"
_HEAD_LINES = 25
_KEYS = (r"Sample Rate,\"?\d+(?:\.\d+)? hertz", r"Lead,\"?Lead", r"Unit,")
_ORIGIN = Origin(
    format=_NAME, rate="its key 'Sample Rate'", names="its key 'Lead'", units="its key 'Unit'"
)


def _is_apple_watch(head: Head) -> bool:
    lines = head.lines(_HEAD_LINES)
    return all(any(re.match(key, line.strip()) for line in lines) for key in _KEYS)


def _probe(path: Path, entry: ManifestEntry) -> FileFacts:
    return dataclasses.replace(probe_csv(path, entry), origin=_ORIGIN)


def _load(records: FileRecords) -> np.ndarray:
    return load_csv(records.path, records.stored_columns or ())


APPLE_WATCH = VendorFormat(
    _NAME, (".csv", ".gz"), _is_apple_watch, Reader(_probe, _load, read_loaded)
)
