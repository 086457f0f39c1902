"""The export formats of devices, and recognition of the format of a file by its content.

A new format is one module with a ``VendorFormat``, and one entry here.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.vendors.apple_watch import APPLE_WATCH
from physio_mae_jax.data.formats.vendors.biosppy_text import BIOSPPY_TEXT
from physio_mae_jax.data.formats.vendors.embrace_plus import BIOMARKERS, EMBRACE_PLUS
from physio_mae_jax.data.formats.vendors.empatica_e4 import EMPATICA_E4, EMPATICA_E4_ZIP
from physio_mae_jax.data.formats.vendors.garmin_fit import GARMIN_FIT
from physio_mae_jax.data.formats.vendors.ishne import ISHNE
from physio_mae_jax.data.formats.vendors.mat_v5 import MAT_V5
from physio_mae_jax.data.formats.vendors.mat_v73 import MAT_V73
from physio_mae_jax.data.formats.vendors.muse import MIND_MONITOR, MUSELSL
from physio_mae_jax.data.formats.vendors.opensignals import OPENSIGNALS
from physio_mae_jax.data.formats.vendors.polar import POLAR
from physio_mae_jax.data.formats.vendors.shimmer import SHIMMER
from physio_mae_jax.data.formats.vendors.vendor_format import VendorFormat, read_head
from physio_mae_jax.errors import DataError

FORMATS: tuple[VendorFormat, ...] = (
    EMPATICA_E4,
    EMPATICA_E4_ZIP,
    EMBRACE_PLUS,
    BIOMARKERS,
    ISHNE,
    SHIMMER,
    OPENSIGNALS,
    BIOSPPY_TEXT,
    APPLE_WATCH,
    POLAR,
    MIND_MONITOR,
    MUSELSL,
    GARMIN_FIT,
    MAT_V5,
    MAT_V73,
)
_ENDINGS = frozenset(ending for found in FORMATS for ending in found.endings)
# The files of a folder are recognized when it is opened and whenever one is read.
_REMEMBERED = 65_536


def vendor_format(path: Path) -> VendorFormat | None:
    """Return the recognized format of a file; None for other files or a missing file."""
    if path.suffix.lower() not in _ENDINGS:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return _recognized(path, status.st_size, status.st_mtime_ns)


def vendor_recordings(files: Sequence[Path]) -> tuple[list[Path], set[Path]]:
    """Find the exports of devices among the files of one folder.

    Returns:
        The files that name a recording each, and the other files of these recordings.
    """
    names = frozenset(path.name for path in files)
    found = [(path, vendor) for path in files if (vendor := vendor_format(path))]
    parts: set[Path] = set()
    for path, vendor in found:
        if vendor.parts is not None:
            parts |= {path.with_name(name) for name in vendor.parts(path, names)}
    return [path for path, _ in found if path not in parts], parts


def recording_of_folder(folder: Path) -> Path | None:
    """Return the file that names the recording of a folder, as for an Empatica E4; else None."""
    for vendor in FORMATS:
        paths = (folder / name for name in vendor.firsts)
        first = next((path for path in paths if path.is_file()), None)
        if first is not None and vendor_format(first) is vendor:
            return first
    return None


@functools.lru_cache(maxsize=_REMEMBERED)
def _recognized(path: Path, size: int, modified_ns: int) -> VendorFormat | None:
    try:
        head = read_head(path)
    except DataError:
        return None
    ending = path.suffix.lower()
    return next((f for f in FORMATS if ending in f.endings and f.recognize(head)), None)
