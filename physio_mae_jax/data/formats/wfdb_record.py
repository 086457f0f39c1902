"""Reading WFDB records (a ``.hea`` header and the signal files it names), in physical units.

Channels stored at a multiple of the record's rate are averaged down to it, as wfdb does. Records
of several segments are not supported: their segments are records themselves.
"""

import functools
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from physio_mae_jax.data.formats.layout import FileFacts, UnreadableError, cut, naming
from physio_mae_jax.data.formats.manifest import Entry
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
            units=tuple(unit or "" for unit in header.units),
            companions=tuple(dict.fromkeys(header.file_name)),
        )


def read_wfdb(path: Path, columns: Sequence[int], start: int, stop: int) -> np.ndarray:
    """Read samples [start, stop) of some signals as float32 [len(columns), stop - start].

    Samples that the file marks as invalid are NaN.

    Raises:
        UnreadableError: the record is broken, or shorter than its header said.
    """
    with naming(path, _EXPECTED, _ERRORS), np.errstate(over="ignore"):
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


class WholeRecord(NamedTuple):
    """A record read from its first sample to its last."""

    signal: np.ndarray  # [M, n] float32 in physical units, NaN where the file says so
    channels: tuple[str, ...]  # as spelled in the header
    units: tuple[str, ...]
    sampling_rate_hz: float
    comments: tuple[str, ...]


def read_whole_record(path: Path) -> WholeRecord:
    """Read all of a record and prove its samples against the checksums of its header.

    Not proven are signals of several samples a frame, whose checksum is that of the samples
    before they are averaged, and those whose header has a 0 in place of the checksum, as that of
    CinC 2017 does.

    Args:
        path: the header.

    Raises:
        UnreadableError: the header is broken, a signal file is missing, cut short or altered, or
            there are no samples.
    """
    try:
        record = _wfdb().rdrecord(str(path.with_suffix("")), physical=False)
        _check_sums(path, record)
        # Gains near zero: what is beyond float32 becomes infinite, as in ``cut``.
        with np.errstate(over="ignore"):
            physical = record.dac(return_res=32) if record.sig_len else None
    except _ERRORS:
        # Parsing the header again, to say what is wrong, is dear: only where something is.
        probe_wfdb(path, Entry(label=str(path), file=path.name))
        with naming(path, _EXPECTED, _ERRORS):
            raise
    if physical is None:
        raise UnreadableError(f"{path} says that the record has 0 samples; leave it out.")
    return WholeRecord(
        signal=np.ascontiguousarray(physical.T, dtype=np.float32),
        channels=tuple(record.sig_name),
        units=tuple(unit or "" for unit in record.units),
        sampling_rate_hz=float(record.fs),
        comments=tuple(record.comments or ()),
    )


def _check_sums(path: Path, record: Any) -> None:
    if not record.checksum or any(value is None for value in record.checksum):
        return
    found = record.d_signal.astype(np.int64).sum(axis=0) % 65536
    frames = record.samps_per_frame or [1] * len(found)
    for name, stated, sum_found, count in zip(
        record.sig_name, record.checksum, found, frames, strict=True
    ):
        # Headers have them signed or unsigned.
        if stated and (count or 1) == 1 and int(stated) % 65536 != int(sum_found):
            raise UnreadableError(
                f"{path}: the samples of signal {name!r} have the checksum {int(sum_found)}, its "
                f"header says {int(stated) % 65536}; the file was altered or damaged. Copy it "
                "again from where it came from."
            )


def read_annotations(path: Path) -> list[tuple[int, str]]:
    """Read a WFDB annotation file: (sample, symbol) of each annotation, in order.

    Raises:
        UnreadableError: the file is broken.
    """
    with naming(path, "WFDB annotations", _ERRORS):
        found = _wfdb().rdann(str(path.with_suffix("")), path.suffix.lstrip("."))
        return [(int(s), str(c)) for s, c in zip(found.sample, found.symbol, strict=True)]
