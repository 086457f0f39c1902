"""Recording formats that are recognized but not read, and how to convert them."""

from collections.abc import Sequence
from pathlib import Path

_SAVE = "and save the samples with numpy.savez (X, channels, fs)"
_MNE = f"open them with MNE (mne.io.read_raw) {_SAVE}"
_TABLE = (
    "save them as .csv: one line of column names, then numbers, with a time column in seconds or "
    "the rate in a manifest"
)
_LIST = "if they are tables of samples with a line of column names, list them in a manifest"
_UNPACK = "unpack them"
_ADVICE = {
    ".tsv": _LIST,
    ".txt": _LIST,
    ".asc": _TABLE,
    ".xls": _TABLE,
    ".xlsx": _TABLE,
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".7z", ".rar"), _UNPACK),
    ".mat": "these are not MATLAB files (5 to 7.3), or contain the samples of WFDB headers, "
    ".hea, which are needed as well",
    ".dat": "of a WFDB record the header, .hea, is needed as well",
    ".atr": "annotations have no samples; of a WFDB record .hea and .dat are needed",
    **dict.fromkeys(
        (".vhdr", ".eeg", ".set", ".fdt", ".fif", ".gdf", ".cnt", ".mff", ".nwb"), _MNE
    ),
    **dict.fromkeys(
        (".h5", ".hdf5", ".pkl", ".pickle", ".feather", ".avro", ".acq", ".ecg", ".scp", ".dcm"),
        f"read them with the library of their format {_SAVE}",
    ),
    ".xml": f"read them with the library of their format {_SAVE}",
    ".json": f"read them with Python's json {_SAVE}",
    ".rec": "these are not EDF files; convert them to EDF or .npz",
    ".bdf": "these are not 24-bit BDF files; convert them to EDF or .npz",
}
_OTHER = "their format is not known; convert them to .npz, .csv, .parquet, EDF or WFDB"
_ENDINGS_SHOWN = 6
_FILES_SHOWN = 3


def conversion_advice(paths: Sequence[Path]) -> str:
    """Describe the files found and how to convert them; '' if there are none."""
    by_ending: dict[str, list[str]] = {}
    for path in paths:
        by_ending.setdefault(path.suffix.lower(), []).append(path.name)
    # Suffixes with specific advice first, the most frequent ones before others.
    order = sorted(by_ending, key=lambda e: (e not in _ADVICE, -len(by_ending[e]), e))
    sentences = []
    for ending in order[:_ENDINGS_SHOWN]:
        names = by_ending[ending]
        more = ", ..." if len(names) > _FILES_SHOWN else ""
        what = f"{len(names)} {ending}" if ending else f"{len(names)} without an ending"
        sentences.append(
            f"{what} ({', '.join(name[:80] for name in names[:_FILES_SHOWN])}{more}): "
            f"{_ADVICE.get(ending, _OTHER)}"
        )
    return f" It has {'; '.join(sentences)}." if sentences else ""
