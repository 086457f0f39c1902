"""Reading EDF, EDF+ and BDF recordings, in the physical units of the header.

Every channel is read at its own rate; if the rates of the chosen channels differ, all are resampled
to the highest (see ``several_rates``). Annotation channels are excluded. Interrupted recordings
('EDF+D') are read only if they have no gap.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.edf_header import (
    EdfHeader,
    EdfSignal,
    parse_number,
    read_edf_header,
)
from physio_mae_jax.data.formats.file_facts import FileFacts, UnreadableError, name_file_in_errors
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.several_rates import read_at_highest_rate
from physio_mae_jax.data.formats.time_column import to_float32
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name

_EXPECTED = "an EDF header and the samples that it describes"
_READING = (OSError, ValueError, MemoryError, ArithmeticError)
_LARGEST = float(np.finfo(np.float32).max)
# The start time of a data record begins its first annotation.
_ONSET = re.compile(rb"([+-]\d{1,15}(?:\.\d{1,15})?)[\x14\x15]")
# BDF channel of trigger inputs, not a signal.
_TRIGGERS = "Status"
_CHUNK_SAMPLES = 2**20


def probe_edf(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe a recording from its header, and check that its samples are complete.

    Args:
        path: Path of the file.
        entry: Its manifest entry; the trigger channel of a BDF file is used only if it is
            listed.

    Raises:
        UnreadableError: the header is broken, or samples are missing.
        DataError: there are no channels, or gaps between the data records.
    """
    with name_file_in_errors(path, _EXPECTED, _READING):
        header = read_edf_header(path)
        channels = _channels(header)
        if not channels:
            raise DataError(
                f"{path} has no channels, only annotations; list the other files in a manifest."
            )
        if header.record_seconds == 0:
            raise DataError(
                f"{path}: its header states data records of 0 s, so the sampling rate is unknown. "
                "Fix the header, or save the samples as .npz with their rate."
            )
        num_records, notes = _count_stored_records(path, header)
        _reject_gaps(path, header, num_records)
        listed = [canonical_name(source) for source, _ in entry.channels or ()]
        triggers = header.format_name == "BDF" and _TRIGGERS.upper() not in map(str.upper, listed)
        columns = tuple(
            i for i, s in enumerate(channels) if not (triggers and s.label == _TRIGGERS)
        )
        kept = [channels[column] for column in columns]
        if header.is_interrupted and len(channels) == len(header.signals):
            notes += (
                "the header says that the recording was interrupted, but no annotation says when; "
                "it is read as if it had no gaps",
            )
        if len(kept) < len(channels):
            notes += (f"channel {_TRIGGERS!r} is skipped: triggers are not a signal",)
        return FileFacts(
            shape=(num_records, len(kept)),
            axes=("sample", "channel"),
            channels=tuple(signal.label for signal in kept) if _has_names(kept) else None,
            units=tuple(signal.unit for signal in kept),
            stored_columns=columns,
            samples_per_frame=tuple(signal.samples for signal in kept),
            rates_hz=tuple(_rate_hz(signal, header) for signal in kept),
            unusable={
                i: problem
                for i, signal in enumerate(kept)
                if (problem := _find_problem(path, signal))
            },
            notes=notes,
            start_time=header.start_time,
        )


def read_edf(
    path: Path, columns: Sequence[int], num_samples: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) of the given channels, at the highest of their rates.

    Args:
        path: Path of the file.
        columns: Channel indices [M], annotation channels not counted.
        num_samples: Number of samples at the highest rate when the file was opened.
        start: First sample.
        stop: One past the last sample.

    Returns:
        float32 [M, stop - start].

    Raises:
        UnreadableError: the file is broken, or changed since it was opened.
    """
    with name_file_in_errors(path, _EXPECTED, _READING):
        header = read_edf_header(path)
        num_records, _ = _count_stored_records(path, header)
        channels = _channels(header)
        if max(columns) >= len(channels):
            raise UnreadableError(f"{path} changed: it has {len(channels)} channels now.")
        chosen = [channels[column] for column in columns]
        per_record = [signal.samples for signal in chosen]
        if max(per_record) * num_records != num_samples:
            raise UnreadableError(f"{path} changed: it had {num_samples} samples when opened.")
        for signal in chosen:
            if problem := _find_problem(path, signal):
                raise UnreadableError(problem)
        records = np.memmap(
            path,
            np.uint8,
            "r",
            offset=header.header_bytes,
            shape=(num_records, header.record_bytes),
        )

        def read(channel: int, first: int, last: int) -> np.ndarray:
            digital = _read_digital(records, header, chosen[channel], first, last)
            return _to_physical(digital, chosen[channel])

        return read_at_highest_rate(read, per_record, num_records, start, stop)


def _channels(header: EdfHeader) -> list[EdfSignal]:
    return [signal for signal in header.signals if not signal.is_annotations]


def _has_names(signals: Sequence[EdfSignal]) -> bool:
    return any(signal.label for signal in signals)


def _rate_hz(signal: EdfSignal, header: EdfHeader) -> float:
    try:
        return signal.samples / float(header.record_seconds)
    except (ZeroDivisionError, OverflowError):
        return float("inf")


def _read_digital(
    records: np.ndarray, header: EdfHeader, signal: EdfSignal, start: int, stop: int
) -> np.ndarray:
    """Return samples [start, stop) of a channel as stored integers."""
    first, last = start // signal.samples, -(-stop // signal.samples)
    size = header.bytes_per_sample
    begin = signal.first_sample * size
    stored = records[first:last, begin : begin + signal.samples * size]
    groups = np.ascontiguousarray(stored).reshape(-1, size)
    if size == 2:
        digital = groups.view("<i2")[:, 0]
    else:
        low, middle, high = groups.astype(np.int32).T
        digital = low | (middle << 8) | (((high ^ 0x80) - 0x80) << 16)
    skipped = first * signal.samples
    return digital[start - skipped : stop - skipped]


def _to_physical(digital: np.ndarray, signal: EdfSignal) -> np.ndarray:
    """Convert stored samples to float32 in physical units, chunk by chunk."""
    low, high = map(parse_number, signal.digital)
    physical_low, physical_high = map(parse_number, signal.physical)
    gain = (physical_high - physical_low) / (high - low)
    offset = physical_high / gain - high
    physical = np.empty(len(digital), np.float32)
    for start in range(0, len(digital), _CHUNK_SAMPLES):
        part = digital[start : start + _CHUNK_SAMPLES]
        physical[start : start + len(part)] = to_float32((part + offset) * gain)
    return physical


def _find_problem(path: Path, signal: EdfSignal) -> str:
    """Explain why the samples of a channel cannot be used; '' if they can."""
    name = f"{path}: channel {signal.label!r}"
    hint = "Exclude it by listing the others in the manifest's 'channels'."
    if signal.samples == 0:
        return f"{name} has 0 samples in a data record. {hint}"
    limits = [parse_number(text) for text in (*signal.digital, *signal.physical)]
    # The comparisons reject NaN.
    is_valid = limits[0] != limits[1] and limits[2] != limits[3]
    if is_valid and all(abs(value) <= _LARGEST for value in limits):
        gain = (limits[3] - limits[2]) / (limits[1] - limits[0])
        if gain != 0 and abs(limits[3] / gain) <= _LARGEST:
            return ""
    return (
        f"{name} maps samples {signal.digital[0]} to {signal.digital[1]} onto values "
        f"{signal.physical[0]} to {signal.physical[1]}, which is not a valid scaling. {hint}"
    )


def _count_stored_records(path: Path, header: EdfHeader) -> tuple[int, tuple[str, ...]]:
    """Return the number of data records, and a note if the header does not state it.

    Raises:
        UnreadableError: the header contradicts the file size.
    """
    size = path.stat().st_size - header.header_bytes
    if header.record_bytes == 0:
        raise UnreadableError(f"{path}: its data records have no samples; exclude it.")
    stored, rest = divmod(size, header.record_bytes)
    if header.num_records == -1:
        if rest or stored == 0:
            raise UnreadableError(
                f"{path} was not finalized: its header does not state the number of data records, "
                f"and its size corresponds to {stored} records and {rest} bytes. Fix it with the "
                "program that recorded it, or exclude the file."
            )
        return stored, (
            "the recording was not finalized: the header does not state the number of data "
            "records, so all records in the file are read",
        )
    if header.num_records < 0:
        raise ValueError(f"the header states {header.num_records} data records")
    if stored != header.num_records or rest:
        expected = header.header_bytes + header.record_bytes * header.num_records
        total = size + header.header_bytes
        raise UnreadableError(
            f"{path} is {'truncated' if total < expected else 'damaged'}: its header states "
            f"{header.num_records} data records, {expected} bytes in all; it has {total}. Copy it "
            "again, or exclude it from the folder or manifest."
        )
    return stored, ()


def _reject_gaps(path: Path, header: EdfHeader, num_records: int) -> None:
    """Reject an interrupted recording whose data records are not contiguous.

    Raises:
        DataError: there is a gap.
        UnreadableError: a data record does not state its start time.
    """
    annotation_signals = [signal for signal in header.signals if signal.is_annotations]
    if not header.is_interrupted or not annotation_signals or not num_records:
        return
    size = header.bytes_per_sample
    begin, end = (
        index * size
        for index in (
            annotation_signals[0].first_sample,
            annotation_signals[0].first_sample + annotation_signals[0].samples,
        )
    )
    records = np.memmap(
        path, np.uint8, "r", offset=header.header_bytes, shape=(num_records, header.record_bytes)
    )
    max_samples = max(signal.samples for signal in _channels(header))
    # Times are printed with few digits; half a sample is within rounding.
    tolerance = header.record_seconds / (2 * max_samples) if max_samples else Fraction(0)
    origin = Fraction(0)
    for i in range(num_records):
        found = _ONSET.match(records[i, begin:end].tobytes())
        if found is None:
            raise UnreadableError(
                f"{path}: data record {i} does not state its start time, as EDF+ requires; copy "
                "it again, or exclude it from the folder or manifest."
            )
        onset = Fraction(found[1].decode("ascii"))
        origin = onset if i == 0 else origin
        gap_s = onset - origin - i * header.record_seconds
        if abs(gap_s) > tolerance:
            raise DataError(
                f"{path} was interrupted ({header.format_name}+D): there are gaps between its data "
                f"records, the first one before {float(onset):g} s. Split it at the gaps into "
                "separate files."
            )
