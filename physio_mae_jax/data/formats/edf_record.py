"""Reading EDF and EDF+ recordings (Kemp et al. 1992, 2003), in the physical units of the header.

The wanted channels must share one rate. Channels of annotations are no channels. EDF+ recordings
that were interrupted ('EDF+D') are read only where they have no gap after all.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.layout import FileFacts, UnreadableError, naming, pick_channels
from physio_mae_jax.data.formats.manifest import Entry
from physio_mae_jax.data.formats.time_column import float32
from physio_mae_jax.errors import DataError

_EXPECTED = "an EDF header and the samples that it describes"
# edfio parses a header with few checks of its own, so a broken one fails in any of these ways.
_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    NameError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    Warning,
)
_FIXED_HEADER_BYTES = 256
_SIGNAL_HEADER_BYTES = 256
_MOST_SIGNALS = 9999
_LARGEST = float(np.finfo(np.float32).max)


def probe_edf(path: Path, entry: Entry) -> FileFacts:
    """Describe a recording from its header, and check that its samples are there in full.

    Args:
        path: the file.
        entry: its manifest entry; only the channels that it asks for must share one rate.

    Raises:
        UnreadableError: the header is broken, or samples are missing.
        DataError: there are no channels, a wanted one is missing, or their rates differ.
    """
    with _opened(path) as edf:
        signals = edf.signals
        names = [signal.label.strip() for signal in signals]
        if not names:
            raise DataError(
                f"{path} has no channels, only annotations; list the other files in a manifest."
            )
        _, columns = pick_channels(entry, names, str(path))
        rate = _common_rate(path, [names[i] for i in columns], [signals[i] for i in columns])
        for column in columns:
            _check_calibration(path, names[column], signals[column])
        num_samples = edf.num_data_records * signals[columns[0]].samples_per_data_record
        return FileFacts(
            shape=(num_samples, len(columns)),
            axes=("sample", "channel"),
            channels=tuple(names[i] for i in columns),
            sampling_rate_hz=rate,
            units=tuple(signals[i].physical_dimension.strip() for i in columns),
            stored_columns=columns,
        )


def read_edf(
    path: Path, columns: Sequence[int], num_samples: int, start: int, stop: int
) -> np.ndarray:
    """Read samples [start, stop) of some channels as float32 [len(columns), stop - start].

    Args:
        path: the file.
        columns: indices among the channels, those of annotations not counted.
        num_samples: of each channel, when the file was opened.
        start: first sample.
        stop: one past the last sample.

    Raises:
        UnreadableError: the file is broken, or changed since it was opened.
    """
    with _opened(path) as edf:
        signals = edf.signals
        values = np.empty((len(columns), stop - start), np.float32)
        for row, column in enumerate(columns):
            signal = signals[column]
            if edf.num_data_records * signal.samples_per_data_record != num_samples:
                raise UnreadableError(f"{path} changed: it had {num_samples} samples when opened.")
            _check_calibration(path, signal.label, signal)
            rate_hz = signal.sampling_frequency
            values[row] = float32(signal.get_data_slice(start / rate_hz, stop / rate_hz))
        return values


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file whose samples are all there, and name it in whatever edfio raises inside."""
    import edfio  # Paid by those who have EDF files.

    with naming(path, _EXPECTED, _ERRORS):
        _check_size(path)
        # Units such as µV are not ASCII; latin-1 decodes whatever comes.
        edf = edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")
        if edf.reserved.startswith("EDF+D") and not edf.is_continuous:
            raise DataError(
                f"{path} was interrupted (EDF+D): there are gaps between its data records. Split "
                "it at the gaps into files of their own."
            )
        yield edf


def _check_size(path: Path) -> None:
    """Compare the size of a file with its header, where edfio would only warn."""
    with path.open("rb") as file:
        fixed = file.read(_FIXED_HEADER_BYTES)
        header_bytes, num_records = int(fixed[184:192]), int(fixed[236:244])
        num_signals = int(fixed[252:256])
        if not 0 < num_signals <= _MOST_SIGNALS:
            raise ValueError(f"the header says that there are {num_signals} signals")
        file.seek(_FIXED_HEADER_BYTES + 216 * num_signals)
        counts = file.read(8 * num_signals)
    if header_bytes != _FIXED_HEADER_BYTES + _SIGNAL_HEADER_BYTES * num_signals:
        raise ValueError(f"a header of {header_bytes} bytes for {num_signals} signals")
    if num_records == -1:
        raise UnreadableError(
            f"{path} was not finished: its header does not say how many data records it has. Mend "
            "the header with the program that recorded it, or leave the file out."
        )
    samples = [int(counts[i : i + 8]) for i in range(0, 8 * num_signals, 8)]
    if min(samples) < 0:
        raise ValueError(f"the header says {min(samples)} samples in a data record")
    expected = header_bytes + 2 * sum(samples) * num_records
    size = path.stat().st_size
    if size != expected:
        raise UnreadableError(
            f"{path} is {'cut short' if size < expected else 'damaged'}: its header says "
            f"{num_records} data records, {expected} bytes in all; it has {size}. Copy it again, "
            "or leave it out of the folder or manifest."
        )


def _common_rate(path: Path, names: Sequence[str], signals: Sequence[Any]) -> float:
    """Return the rate in Hz that all signals share."""
    rates = [float(signal.sampling_frequency) for signal in signals]
    for name, rate in zip(names, rates, strict=True):
        if not (math.isfinite(rate) and rate > 0):
            raise UnreadableError(
                f"{path}: channel {name!r} has {rate:g} samples a second by the header; a number "
                "above 0 is expected. Leave it out by listing the others in the manifest's "
                "'channels'."
            )
    if len(set(rates)) == 1:
        return rates[0]
    most = max(rates, key=rates.count)
    example = [name for name, rate in zip(names, rates, strict=True) if rate == most]
    raise DataError(
        f"{path} has channels of several rates (samples a second): "
        + ", ".join(f"{name} -> {rate:g}" for name, rate in zip(names, rates, strict=True))
        + ". A recording has one rate: name channels of one rate in the manifest's 'channels', "
        f'such as {{"file": {json.dumps(path.name)}, "channels": {json.dumps(example)}}}.'
    )


def _check_calibration(path: Path, name: str, signal: Any) -> None:
    """Refuse signals whose samples the header gives no physical value, as edfio would not."""
    low, high = signal.digital_min, signal.digital_max
    physical = (signal.physical_min, signal.physical_max)
    representable = all(abs(value) <= _LARGEST for value in physical)
    if low == high or physical[0] == physical[1] or not representable:
        raise UnreadableError(
            f"{path}: channel {name!r} maps samples {low} to {high} onto values {physical[0]:g} to "
            f"{physical[1]:g}, which says nothing of them. Leave it out by listing the others in "
            "the manifest's 'channels'."
        )
