"""Reading WFDB records (a ``.hea`` header and the signal files it names), in physical units.

Channels stored at a multiple of the record's rate are averaged down to it, as wfdb does. Records
of several segments are not supported: their segments are records themselves.
"""

import functools
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.layout import FileFacts, UnreadableError, cut, naming
from physio_mae_jax.data.manifest import Entry
from physio_mae_jax.errors import DataError

_EXPECTED = "a WFDB header and the signal files it names"
# wfdb parses headers with few checks of its own, so a broken one fails in any of these ways.
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
)
# The uncompressed formats of the WFDB specification.
_BYTES_PER_SAMPLE = {
    "8": 1.0,
    "16": 2.0,
    "24": 3.0,
    "32": 4.0,
    "61": 2.0,
    "80": 1.0,
    "160": 2.0,
    "212": 1.5,
    "310": 4 / 3,
    "311": 4 / 3,
}


def probe_wfdb(path: Path, entry: Entry) -> FileFacts:
    """Describe a record from its header, and check that its signal files are there in full.

    Raises:
        UnreadableError: the header is broken, or a signal file is missing or cut short.
        DataError: the record has several segments or no signals.
    """
    with naming(path, _EXPECTED, _ERRORS):
        header = _wfdb().rdheader(str(path.with_suffix("")))
        if getattr(header, "n_seg", None):
            raise DataError(
                f"{path} joins several segments, which is not supported; list the headers of its "
                "segments in a manifest instead."
            )
        if not header.n_sig:
            raise DataError(f"{path} names no signals; list the other records in a manifest.")
        _check_signal_files(path, header)
        num_samples = header.sig_len
        if num_samples is None:
            num_samples = len(_wfdb().rdrecord(str(path.with_suffix(""))).p_signal)
        names = header.sig_name
        return FileFacts(
            shape=(int(num_samples), int(header.n_sig)),
            axes=("sample", "channel"),
            channels=tuple(names) if names and all(names) else None,
            sampling_rate_hz=float(header.fs),
        )


def read_wfdb(path: Path, columns: Sequence[int], start: int, stop: int) -> np.ndarray:
    """Read samples [start, stop) of some signals as float32 [len(columns), stop - start].

    Samples that the file marks as invalid are NaN.

    Raises:
        UnreadableError: the record is broken, or shorter than its header said.
    """
    with naming(path, _EXPECTED, _ERRORS):
        record = _wfdb().rdrecord(
            str(path.with_suffix("")),
            sampfrom=start,
            sampto=stop,
            channels=list(columns),
            physical=True,
        )
        if record.p_signal.shape != (stop - start, len(columns)):
            raise UnreadableError(
                f"{path}: samples [{start}, {stop}) came as shape {record.p_signal.shape}; the "
                "record changed since it was opened."
            )
        return cut(record.p_signal, ("sample", "channel"), 0, 0, stop - start)


def _check_signal_files(path: Path, header: Any) -> None:
    samples_per_frame: Counter[str] = Counter()
    for name, count in zip(header.file_name, header.samps_per_frame, strict=True):
        samples_per_frame[name] += count or 1
    for name, count in samples_per_frame.items():
        signal = path.parent / name
        if not signal.is_file():
            raise UnreadableError(
                f"{path} names the signal file {name!r}, which is not in {path.parent}; copy it "
                "there, or leave the record out of the folder or manifest."
            )
        first = header.file_name.index(name)
        width = _BYTES_PER_SAMPLE.get(header.fmt[first])
        if width is None or header.sig_len is None:
            continue
        # Packed formats may end in the middle of a group, so the last bytes do not count.
        needed = (header.byte_offset[first] or 0) + int(header.sig_len * count * width) - 3
        if signal.stat().st_size < needed:
            raise UnreadableError(
                f"{signal} is cut short: {path.name} says {header.sig_len} samples, about "
                f"{needed} bytes; it has {signal.stat().st_size}. Copy it again, or leave the "
                "record out of the folder or manifest."
            )


@functools.cache
def _wfdb() -> Any:
    with warnings.catch_warnings():
        # wfdb 4.3 builds its tables with a keyword that pandas 3.1 deprecates.
        warnings.filterwarnings("ignore", message="The inplace keyword")
        import wfdb
    return wfdb
