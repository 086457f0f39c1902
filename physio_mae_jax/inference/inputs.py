"""Conversion of caller inputs (arrays, data frames, lists) to readable recordings.

Nothing is guessed: a missing rate or channel names, transposed axes, or ADC counts of unknown gain
raise an error that says what to add.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.arrays import ArrayRecordings, absent_rows, find_gaps
from physio_mae_jax.data.frame_index import check_index
from physio_mae_jax.data.frames import (
    Frame,
    as_frame,
    column_names,
    is_series,
    read_columns,
    series_values,
)
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference import arguments
from physio_mae_jax.inference.clocks import reject_clocks
from physio_mae_jax.inference.notes import CONVERTED, WARNING, Note
from physio_mae_jax.inference.samples import Samples, reject_unordered, samples_of
from physio_mae_jax.inference.signal_metadata import (
    SignalMetadata,
    gain_of,
    rate_of,
    require_units_or_gain,
    units_of,
)
from physio_mae_jax.printable import show
from physio_mae_jax.signals.channels import canonical_name, resolve_recording_names
from physio_mae_jax.signals.units import COUNTS, canonical_unit

_CHANNELS = "name each row, such as channels=['II', 'PPG']"


class GivenRecordings(NamedTuple):
    """Recordings passed by a caller.

    Attributes:
        recordings: Readable recordings.
        notes: Conversions applied, and checks that were not possible.
    """

    recordings: ArrayRecordings
    notes: tuple[Note, ...]


def as_recordings(
    signal: object,
    description: SignalMetadata,
    known: Sequence[str] = (),
    *,
    may_be_empty: bool = False,
) -> GivenRecordings:
    """Convert signals to recordings.

    Args:
        signal: Samples [M, n] of one recording, [B, M, n] of several, [n] of one channel, a frame
            or series, or a list of any of these except the second. Masked values count as missing.
        description: Description of the signals.
        known: Names of the channels that the model knows; none of these may only count time.
        may_be_empty: Accept an array [0, M, n], a batch without recordings.

    Raises:
        DataError: The input is incomplete or inconsistent; the message suggests a fix.
    """
    if may_be_empty and _is_empty_batch(signal):
        return GivenRecordings(ArrayRecordings([], [], [], []), ())
    signals = _separated(signal)
    count = len(signals)
    rates = _for_each(
        description.sampling_rate_hz, count, "sampling_rate_hz", arguments.is_one_number
    )
    channels = _for_each(description.channels, count, "channels", arguments.holds_names)
    names = _recording_names(description.names, count)
    found = [
        _recording(one, rate, wanted, name, description)
        for one, rate, wanted, name in zip(signals, rates, channels, names, strict=True)
    ]
    recordings = ArrayRecordings(
        [one.array for one in found],
        [one.info for one in found],
        [one.gain for one in found],
        [one.absent for one in found],
    )
    reject_clocks(recordings, known)
    return GivenRecordings(recordings, tuple(note for one in found for note in one.notes))


class _Recording(NamedTuple):
    """One recording, see ``data.arrays.ArrayRecordings``."""

    array: np.ndarray
    info: RecordingInfo
    gain: np.ndarray | None
    absent: list[int]
    notes: list[Note]


def _recording(
    signal: object, rate: object, wanted: object, name: str, description: SignalMetadata
) -> _Recording:
    """Convert one signal, with the rate and channel names of its own."""
    samples, labels = _oriented(signal, wanted, name)
    array = samples.values
    rate_hz = rate_of(rate, labels, name)
    notes = _notes(signal, samples, rate_hz, name)
    units = units_of(description.units, len(labels), name)
    gain = gain_of(description.gain, len(labels), name)
    require_units_or_gain(samples, units, gain, name)
    gaps = find_gaps(array)
    absent = absent_rows(gaps, array.shape[1])
    info = RecordingInfo(
        record_id=name,
        subject_id=name,
        channel_names=_disambiguate(labels, units),
        sampling_rate_hz=rate_hz,
        num_samples=array.shape[1],
        # ADC counts and similar units do not identify the quantity.
        units=tuple(_physical_unit(unit) for unit in units),
        gaps=tuple(gap for gap in gaps if gap[0] not in absent),
    )
    return _Recording(array, info, gain, absent, notes)


def _is_empty_batch(signal: object) -> bool:
    """Return whether a signal is an array [0, M, n], a batch without recordings."""
    shape: tuple[int, ...] = getattr(signal, "shape", ())
    return len(shape) == 3 and shape[0] == 0 and min(shape[1:]) > 0


def _separated(signal: object) -> list[object]:
    """Return the signals of a list or of a batch [B, M, n], or the single signal."""
    reject_unordered(signal)
    signal = as_frame(signal)
    if isinstance(signal, Frame) or is_series(signal):
        return [signal]
    if isinstance(signal, list | tuple):
        if not signal:
            raise DataError("no signal is given: the list is empty.")
        if not arguments.is_one_number(signal[0]):
            return [as_frame(one) for one in signal]
    samples = samples_of(signal, "the signal")
    if samples.values.ndim != 3:
        return [samples]
    if not len(samples.values):
        raise DataError(
            f"no recording is given: the signal has shape {samples.values.shape}, [recording, "
            "channel, sample] with 0 recordings."
        )
    return [
        samples._replace(values=one, num_missing=int(samples.num_missing and np.isnan(one).sum()))
        for one in samples.values
    ]


def _for_each(
    value: object, count: int, name: str, is_one: Callable[[object], bool]
) -> list[object]:
    """Return one value per signal, ``count`` in all."""
    if value is None or is_one(value):
        return [value] * count
    values = arguments.listed(value, name)
    if len(values) != count:
        raise DataError(f"{name} has {len(values)} entries for {count} recordings.")
    return values


def _recording_names(names: object, count: int) -> list[str]:
    if names is None:
        return [f"recording {number}" for number in range(count)]
    one = arguments.plain(names)
    entries = [one] if isinstance(one, str) else arguments.listed(names, "names", "a list of text")
    if len(entries) != count:
        raise DataError(f"{len(entries)} names are given for {count} recordings.")
    for entry in entries:
        if arguments.is_missing(entry):
            raise DataError(f"names has {show(entry)} among its entries; give each one.")
    return [str(arguments.plain(entry)) for entry in entries]


def _oriented(signal: object, wanted: object, name: str) -> tuple[Samples, tuple[str, ...]]:
    """Return a signal as [M, n] and the names of its rows."""
    if isinstance(signal, Frame):
        return _of_frame(signal, wanted, name)
    if is_series(signal):
        wanted = signal.name if wanted is None and isinstance(signal.name, str) else wanted
    if wanted is None:
        raise DataError(f"{name}: channels is missing; {_CHANNELS}.")
    labels = arguments.texts(wanted, f"{name}: channels", _CHANNELS)
    samples = _samples(signal, name)
    array = samples.values
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2:
        raise DataError(f"{name} has shape {array.shape}; [channel, sample] is expected.")
    if len(array) != len(labels):
        raise DataError(
            f"{name} has shape {array.shape}, but {len(labels)} channels are named "
            f"({', '.join(labels)}). {_hint(array, len(labels))}"
        )
    if len(array) > 1 and array.shape[1] == 1:
        raise DataError(
            f"{name} has shape {array.shape}: one sample of each of {len(labels)} channels. A "
            "signal [channel, sample] is expected; check that its axes are in this order."
        )
    return samples._replace(values=array), labels


def _samples(signal: object, name: str) -> Samples:
    if isinstance(signal, Samples):
        return signal
    if is_series(signal):
        return Samples(*series_values(signal, name))
    return samples_of(signal, name)


def _hint(array: np.ndarray, num_channels: int) -> str:
    if array.shape[1] == num_channels:
        return "Its axes are [sample, channel]; give signal.T, which is [channel, sample]."
    return "Rows are channels, [channel, sample]; name every row, in their order."


def _of_frame(frame: Frame, wanted: object, name: str) -> tuple[Samples, tuple[str, ...]]:
    """Select columns of a data frame: the named ones, or all."""
    present = column_names(frame, name)
    labels = tuple(column.strip() for column in present)
    if wanted is not None:
        labels = arguments.texts(wanted, f"{name}: channels", _CHANNELS)
    positions = [_position(label, present, name) for label in labels]
    return Samples(*read_columns(frame, positions, name)), labels


def _position(label: str, present: Sequence[str], name: str) -> int:
    """Return the position of the column with a name."""
    # Exact spelling first, else without the blanks that many tables have around names.
    exact = [position for position, column in enumerate(present) if column == label]
    found = exact or [
        position for position, column in enumerate(present) if column.strip() == label
    ]
    if not found:
        raise DataError(f"{name} has no column {label!r}; it has {', '.join(present)}.")
    if len(found) > 1:
        raise DataError(
            f"{name}: {len(found)} columns of the frame are named {label!r}; rename all but one, "
            "or exclude them."
        )
    return found[0]


def _notes(signal: object, samples: Samples, rate_hz: float, name: str) -> list[Note]:
    """Check the index of a data frame; note missing values and checks that were not possible."""
    notes = []
    if samples.num_missing:
        text = f"{samples.num_missing} masked or NA values are taken for missing ones (NaN)"
        notes.append(Note(CONVERTED, text, name))
    index = getattr(signal, "index", None) if hasattr(signal, "iloc") else None
    unchecked = "" if index is None else check_index(index, rate_hz, name)
    return [*notes, Note(WARNING, unchecked, name)] if unchecked else notes


def _disambiguate(labels: Sequence[str], units: Sequence[str]) -> tuple[str, ...]:
    """Return names as spelled, except those that only their context disambiguates."""
    found = resolve_recording_names(labels, units)
    return tuple(
        label if canonical_name(label) == name else name
        for label, name in zip(labels, found, strict=True)
    )


def _physical_unit(unit: str) -> str:
    return "" if canonical_unit(unit) == COUNTS else canonical_unit(unit)
