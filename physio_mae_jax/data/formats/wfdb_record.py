"""Reading WFDB records (a ``.hea`` header and the signal files it names), in physical units.

Every signal is read at its own rate; if the rates of the chosen signals differ, all are resampled
to the highest (see ``several_rates``). Multi-segment records are not read: their segments are
records themselves.
"""

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.file_facts import FileFacts, UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.several_rates import read_at_highest_rate
from physio_mae_jax.data.formats.wfdb_files import StoredRecord, locate_signal_files
from physio_mae_jax.data.formats.wfdb_header import (
    DEFAULT_GAIN,
    DEFAULT_RATE_HZ,
    DEFAULT_UNIT,
    NO_FILE,
    WfdbHeader,
    WfdbSignal,
    read_header,
)
from physio_mae_jax.data.formats.wfdb_samples import missing_value, read_frames
from physio_mae_jax.errors import DataError

_EXPECTED = "a WFDB header and the signal files it names"
_READING = (OSError, ValueError, MemoryError, RuntimeError)
# wfdb parses annotations with few checks, so a broken file may raise any of these.
_ANNOTATIONS = (*_READING, EOFError, TypeError, LookupError, AttributeError, ArithmeticError)
_RATE_NOTE = (
    f"the header states no sampling rate; {DEFAULT_RATE_HZ:g} Hz, the default of the format, is "
    "used. If that is wrong, state 'sampling_rate_hz' in a manifest"
)
_SHOWN = 5
_NAME_SHOWN = 80
_CHUNK_SAMPLES = 2**20


class SegmentsError(DataError):
    """A header without samples of its own that joins or describes other records.

    Attributes:
        parts: Names of the records that it joins; empty for one that only describes signals.
    """

    def __init__(self, message: str, parts: Sequence[str]) -> None:
        """Store the names beside the message."""
        super().__init__(message)
        self.parts = tuple(parts)


def probe_wfdb(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe a record from its header, and check that its signal files are complete.

    Raises:
        UnreadableError: the header is broken, or no signal can be read.
        SegmentsError: the record has several segments, or no samples of its own.
        DataError: the record has no signals.
    """
    with name_file_in_errors(path, _EXPECTED, _READING):
        header = read_header(path)
        _reject_segments(path, header)
        stored = locate_signal_files(path, header)
        per_frame = tuple(signal.samples_per_frame for signal in header.signals)
        names = header.channels
        return FileFacts(
            shape=(stored.num_frames, len(per_frame)),
            axes=("sample", "channel"),
            channels=names if any(names) else None,
            units=header.units,
            companions=stored.companions,
            samples_per_frame=per_frame,
            rates_hz=tuple(count * header.frame_rate_hz for count in per_frame),
            rate_note="" if header.rate_is_stated else _RATE_NOTE,
            unusable=stored.unusable,
            notes=(*_notes(header), *stored.notes),
            start_time=header.start_time,
        )


def read_wfdb(
    path: Path, columns: Sequence[int], num_samples: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) of the given signals, at the highest of their rates.

    Args:
        path: Path of the header.
        columns: Signal indices [M].
        num_samples: Number of samples at the highest rate when the record was opened.
        start: First sample.
        stop: One past the last sample.

    Returns:
        float32 [M, stop - start]; NaN where the file marks a missing sample.

    Raises:
        UnreadableError: the record is broken, or changed since it was opened.
    """
    with name_file_in_errors(path, _EXPECTED, _READING):
        header = read_header(path)
        stored = locate_signal_files(path, header)
        per_frame = [header.signals[column].samples_per_frame for column in columns]
        if max(per_frame) * stored.num_frames != num_samples:
            raise UnreadableError(f"{path} changed: it had {num_samples} samples when opened.")
        reader = _Reader(header, stored, columns)
        return read_at_highest_rate(reader.read, per_frame, stored.num_frames, start, stop)


class FullRecord(NamedTuple):
    """A record read from its first sample to its last."""

    signal: np.ndarray  # [M, n] float32 in physical units, NaN where marked as missing
    channels: tuple[str, ...]  # as spelled in the header
    units: tuple[str, ...]
    sampling_rate_hz: float  # the highest rate of the signals
    comments: tuple[str, ...]
    conversions: tuple[str, ...] = ()  # resampling applied, one phrase each


def read_full_record(path: Path, columns: Sequence[int] | None = None) -> FullRecord:
    """Read a complete record and verify its samples against the checksums of its header.

    Signals whose header has checksum 0, as in CinC 2017, are not verified.

    Args:
        path: Path of the header.
        columns: Indices of the signals to read; default: all.

    Raises:
        UnreadableError: the header is broken, a signal file is missing, truncated or altered, or
            there are no samples.
        SegmentsError: the record has several segments, or no samples of its own.
    """
    with name_file_in_errors(path, _EXPECTED, _READING):
        header = read_header(path)
        _reject_segments(path, header)
        stored = locate_signal_files(path, header)
        chosen = range(len(header.signals)) if columns is None else columns
        if stored.num_frames == 0:
            raise UnreadableError(f"{path} states 0 samples; exclude it.")
        signals = [header.signals[column] for column in chosen]
        per_frame = [signal.samples_per_frame for signal in signals]
        reader = _Reader(header, stored, chosen)
        reader.verify_checksums(path)
        fast = max(per_frame)
        rate_hz = fast * header.frame_rate_hz
        return FullRecord(
            signal=read_at_highest_rate(
                reader.read, per_frame, stored.num_frames, 0, fast * stored.num_frames
            ),
            channels=tuple(signal.name for signal in signals),
            units=tuple(signal.unit for signal in signals),
            sampling_rate_hz=rate_hz,
            comments=header.comments,
            conversions=tuple(
                f"{signal.name}: {signal.samples_per_frame * header.frame_rate_hz:g} to "
                f"{rate_hz:g} Hz by linear interpolation"
                for signal in signals
                if signal.samples_per_frame != fast
            ),
        )


class _Reader:
    """Reads signals of a record.

    The last frames are cached for the next signal of the same file.
    """

    def __init__(self, header: WfdbHeader, stored: StoredRecord, columns: Sequence[int]) -> None:
        self._header, self._stored, self._columns = header, stored, columns
        for column in columns:
            if column in stored.unusable:
                raise UnreadableError(stored.unusable[column])
        self._key: tuple[int, int, int] | None = None
        self._frames = np.zeros((0, 0), np.int32)

    def read(self, channel: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of one of the signals as float32, at its own rate."""
        column = self._columns[channel]
        signal = self._header.signals[column]
        count = signal.samples_per_frame
        first, last = start // count, -(-stop // count)
        digital = self._read_digital(column, first + signal.skew, last + signal.skew)
        physical = _to_physical(
            digital, signal, missing_value(self._stored.get_file(column).format)
        )
        # Samples that the skew moves beyond the end of the file are missing.
        padding = np.full((last - first) * count - len(physical), np.nan, np.float32)
        return np.concatenate([physical, padding])[start - first * count : stop - first * count]

    def verify_checksums(self, path: Path) -> None:
        """Verify the samples against the checksums in the header.

        Raises:
            UnreadableError: a checksum differs.
        """
        for column in self._columns:
            signal = self._header.signals[column]
            if not signal.checksum:
                continue
            digital = self._read_digital(column, 0, self._stored.num_frames)
            found = int(digital.sum(dtype=np.int64)) % 65536
            # Headers store checksums signed or unsigned.
            if signal.checksum % 65536 != found:
                raise UnreadableError(
                    f"{path}: the samples of signal {signal.name!r} have the checksum {found}, its "
                    f"header states {signal.checksum % 65536}; the file was altered or damaged. "
                    "Copy it again from its source."
                )

    def _read_digital(self, column: int, first: int, last: int) -> np.ndarray:
        """Return the stored integer samples of frames [first, last)."""
        number, begin = self._stored.positions[column]
        first, last = (min(frame, self._stored.num_frames) for frame in (first, last))
        if self._key != (number, first, last):
            self._frames = read_frames(self._stored.files[number], first, last)
            self._key = (number, first, last)
        count = self._header.signals[column].samples_per_frame
        return self._frames[:, begin : begin + count].reshape(-1)


def _to_physical(digital: np.ndarray, signal: WfdbSignal, missing: int | None) -> np.ndarray:
    """Convert ADC samples to float32 in physical units, chunk by chunk in float64."""
    physical = np.empty(len(digital), np.float32)
    for start in range(0, len(digital), _CHUNK_SAMPLES):
        part = digital[start : start + _CHUNK_SAMPLES]
        # Gains near zero: values beyond float32 become infinite.
        with np.errstate(over="ignore"):
            converted = (part.astype(np.float64) - signal.baseline) / signal.gain
            physical[start : start + len(part)] = converted
        if missing is not None:
            physical[start : start + len(part)][part == missing] = np.nan
    return physical


def _reject_segments(path: Path, header: WfdbHeader) -> None:
    if header.segments:
        parts = [name[:_NAME_SHOWN] for name, _ in header.segments if name != NO_FILE]
        raise SegmentsError(
            f"{path} joins {len(header.segments)} segments "
            f"({', '.join(parts[:_SHOWN])}{', ...' if len(parts) > _SHOWN else ''}), which are "
            "recordings themselves and are read as such; copy their headers and signal files "
            "beside it, or exclude it from the folder or manifest.",
            parts,
        )
    if not header.signals:
        raise DataError(f"{path} names no signals; list the other records in a manifest.")
    if all(signal.file_name == NO_FILE for signal in header.signals):
        raise SegmentsError(
            f"{path} only describes signals of other records and has no samples; exclude it.", ()
        )


def _notes(header: WfdbHeader) -> tuple[str, ...]:
    uncalibrated = [
        signal.name or "unnamed" for signal in header.signals if not signal.is_calibrated
    ]
    if not uncalibrated:
        return ()
    return (
        f"the header states no gain for {', '.join(uncalibrated[:_SHOWN])}"
        f"{', ...' if len(uncalibrated) > _SHOWN else ''}; {DEFAULT_GAIN:g} ADC units per "
        f"{DEFAULT_UNIT}, the default of the format, are used",
    )


@functools.cache
def _wfdb() -> ModuleType:
    with warnings.catch_warnings():
        # wfdb 4.3 uses a keyword that pandas 3.1 deprecates.
        warnings.filterwarnings("ignore", message="The inplace keyword")
        import wfdb
    return wfdb


def read_annotations(path: Path) -> list[tuple[int, str]]:
    """Read a WFDB annotation file: (sample, symbol) of each annotation, in order.

    Raises:
        UnreadableError: the file is broken.
    """
    with name_file_in_errors(path, "WFDB annotations", _ANNOTATIONS):
        if not path.is_file():
            raise UnreadableError(f"{path} is missing, or no file; expected WFDB annotations.")
        found = _wfdb().rdann(str(path.with_suffix("")), path.suffix.lstrip("."))
        return [(int(s), str(c)) for s, c in zip(found.sample, found.symbol, strict=True)]
