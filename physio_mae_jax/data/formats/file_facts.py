"""Metadata that files state about themselves, joined with a manifest; no disk access."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.origin import Origin
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name, unknown_channel_message
from physio_mae_jax.signals.spellings import clean_name

# Allows for clock drift and printed digits; a larger difference means a different rate.
RATE_TOLERANCE = 1e-3


class UnreadableError(DataError):
    """The content of a file is broken, as opposed to a wrong description of it."""


@contextlib.contextmanager
def name_file_in_errors(
    path: Path, expected: str, errors: tuple[type[Exception], ...]
) -> Iterator[None]:
    """Convert errors that a library raises inside the block into errors that name the file.

    Args:
        path: Path of the file.
        expected: Expected content of the file, for the message.
        errors: Exceptions that the library raises on broken files.

    Raises:
        UnreadableError: a library error occurred; a DataError passes unchanged.
    """
    try:
        yield
    except DataError:
        raise
    except errors as error:
        # Errors raised by this package do not need the name of their type.
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise UnreadableError(
            f"{path} cannot be read ({kind}{str(error)[:300]}); expected "
            f"{expected}. Write or copy it again, or exclude it from the folder or manifest."
        ) from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What a file states about itself; None for anything it does not state.

    Attributes:
        shape: Shape of the signal array as stored; None if the signal array is ambiguous.
        axes: Meaning of each axis of ``shape``, if the format fixes it.
        channels: Names along the channel axis, as spelled in the file.
        sampling_rate_hz: Sampling rate in Hz.
        subjects: Subject of each record.
        record_keys: Id of each record.
        member: npz member that holds the signal.
        members: Names of all npz members, for messages.
        units: Channel units, as spelled in the file.
        stored_columns: Indices of the table columns or EDF signals that are channels of ``shape``;
            None for all.
        loaded_bytes: Memory kept after reading, in bytes; 0 for formats that are read in place.
        part_ends: End in samples of each part that is read on its own; empty if there are none.
        companions: Names of the sample files beside it.
        samples_per_frame: Samples per frame of each channel, for formats with frames, whose
            channels may differ in rate. ``shape`` then counts frames instead of samples.
        rates_hz: Rate of each channel in Hz for formats with frames, instead of
            ``sampling_rate_hz``.
        rate_note: Note on a default rate of the format, which the manifest may override; '' if the
            file states its rate.
        unusable: Mapping of channel index to the reason its samples are unusable (one sentence).
        notes: Assumptions made when reading the file, for a warning.
        questions: Mapping of manifest field to the reason it is ambiguous in the file.
        origin: Source of the facts.
        is_folder: Whether the recording is a whole folder, whose name it then has.
        start_time: First instant, see ``RecordingInfo``; '' if the file states none.
    """

    shape: tuple[int, ...] | None
    axes: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    sampling_rate_hz: float | None = None
    subjects: tuple[str, ...] | None = None
    record_keys: tuple[str, ...] | None = None
    member: str | None = None
    members: tuple[str, ...] = ()
    units: tuple[str, ...] | None = None
    stored_columns: tuple[int, ...] | None = None
    loaded_bytes: int = 0
    part_ends: tuple[int, ...] = ()
    companions: tuple[str, ...] = ()
    samples_per_frame: tuple[int, ...] | None = None
    rates_hz: tuple[float, ...] | None = None
    rate_note: str = ""
    unusable: Mapping[int, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    questions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origin: Origin = dataclasses.field(default_factory=Origin)
    is_folder: bool = False
    start_time: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileRecords:
    """A file of one or more recordings, ready to be read.

    Attributes:
        path: Path of the file.
        shape: Shape of the stored signal array.
        axes: Meaning of each axis of ``shape``.
        channel_names: Canonical names [M], in the order of ``slice_record``.
        columns: Index of each channel along the stored channel axis [M].
        sampling_rate_hz: Sampling rate in Hz.
        num_samples: Number of samples of each record.
        record_keys: Id of each record inside the file; None if the file is one record.
        subjects: Subject of each record; None if unknown.
        member: npz member that holds the signal.
        units: Channel units [M] from the file, else from the manifest; '' if neither states one,
            unchanged if the unit is not known.
        stored_columns: Indices of the table columns or EDF signals that are channels of ``shape``;
            None for all.
        loaded_bytes: Memory kept after reading, in bytes; 0 for formats that are read in place.
        companions: Names of the sample files beside it.
        part_ends: End in samples of each part that is read on its own; empty if there are none.
        interpolated: (name, own rate in Hz) of channels interpolated to ``sampling_rate_hz``.
        unusable: Why channels that are not requested are missing from ``channel_names``, one
            sentence each.
        notes: Assumptions made when reading the file, for a warning.
        samples_per_frame: Samples of each stored channel in a frame, see ``FileFacts``.
        origin: Where rate, names and units came from.
        is_folder: Whether the recording is all of its folder, which then gives it its name.
        start_time: First instant, see ``RecordingInfo``; '' if the file states none.
    """

    path: Path
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    channel_names: tuple[str, ...]
    columns: tuple[int, ...]
    sampling_rate_hz: float
    num_samples: int
    record_keys: tuple[str, ...] | None
    subjects: tuple[str | None, ...]
    member: str | None
    units: tuple[str, ...]
    stored_columns: tuple[int, ...] | None
    loaded_bytes: int
    companions: tuple[str, ...]
    part_ends: tuple[int, ...] = ()
    interpolated: tuple[tuple[str, float], ...] = ()
    unusable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    samples_per_frame: tuple[int, ...] | None = None
    origin: Origin = dataclasses.field(default_factory=Origin)
    is_folder: bool = False
    start_time: str = ""

    @property
    def conversions(self) -> tuple[str, ...]:
        """Conversions applied when reading, one phrase each."""
        return tuple(
            f"{name}: {rate_hz:g} to {self.sampling_rate_hz:g} Hz by linear interpolation"
            for name, rate_hz in self.interpolated
        )


def missing_facts(facts: FileFacts, entry: ManifestEntry) -> list[str]:
    """List the manifest fields without which the file cannot be read.

    Raises:
        DataError: the array has more than three axes, or none.
    """
    if facts.shape is None:
        return ["array"]
    if not 1 <= len(facts.shape) <= 3:
        raise DataError(
            f"{entry.label}: the array has shape {facts.shape}; one to three axes are expected "
            "(record, channel, sample)."
        )
    missing = []
    if entry.sampling_rate_hz is None and (facts.sampling_rate_hz, facts.rates_hz) == (None, None):
        missing.append("sampling_rate_hz")
    if entry.channels is None and (facts.channels is None or "channels" in facts.questions):
        missing.append("channels")
    elif len(facts.shape) > 1 and resolve_axes(facts, entry) is None:
        missing.append("axes")
    return missing


def select_file_channels(
    entry: ManifestEntry, in_file: Sequence[str] | None, where: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Select the channels of a file that its manifest entry lists (see ``manifest``).

    Args:
        entry: Manifest entry that lists the file.
        in_file: Channel names as spelled in the file; None for a file that names none.
        where: Name of the file in error messages.

    Returns:
        Names to use [M] and the index of each in the file [M].

    Raises:
        DataError: a listed channel is not in the file, or matches two channels of it.
    """
    if entry.channels is None:
        names = tuple(in_file or ())
        return names, tuple(range(len(names)))
    used = tuple(name for _, name in entry.channels)
    if in_file is None:
        return used, tuple(range(len(used)))
    present = [canonical_name(name) for name in in_file]
    are_distinct = len(set(present)) == len(present) and all(present)
    if not are_distinct and len(used) == len(present):
        return used, tuple(range(len(used)))
    by_spelling, by_canonical_name = _index_names(map(clean_name, in_file)), _index_names(present)
    columns = []
    for spelled, _ in entry.channels:
        source = canonical_name(spelled)
        # Among synonyms the exact spelling takes precedence.
        matches = by_spelling.get(clean_name(spelled), ())
        matches = matches if len(matches) == 1 else by_canonical_name.get(source, ())
        if not matches:
            raise DataError(f"{entry.label}: " + unknown_channel_message(source, in_file, where))
        if len(matches) > 1:
            raise DataError(
                f"{entry.label}: {where} has {len(matches)} channels named {source!r} "
                f"({', '.join(in_file)}); list {len(present)} names, one for each in order."
            )
        columns.append(matches[0])
    return used, tuple(columns)


def _index_names(names: Iterable[str]) -> dict[str, list[int]]:
    """Return the positions of each name."""
    columns: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        columns.setdefault(name, []).append(column)
    return columns


def slice_record(
    array: np.ndarray, axes: Sequence[str], record: int, start: int, stop: int
) -> np.ndarray:
    """Return samples [start, stop) of one record of a stored array.

    Args:
        array: Signal array as stored, with the meaning of its axes in ``axes``.
        axes: Axis names, each "record", "channel" or "sample".
        record: Index along the record axis; ignored if there is none.
        start: First sample.
        stop: One past the last sample.

    Returns:
        float32 [M, stop - start], a copy. Values beyond float32 become infinite.
    """
    index: dict[str, int | slice] = {
        "record": record,
        "sample": slice(start, stop),
        "channel": slice(None),
    }
    part = array[tuple(index[axis] for axis in axes)]
    remaining_axes = [axis for axis in axes if axis != "record"]
    if "channel" not in remaining_axes:
        part = part[None]
    elif remaining_axes == ["sample", "channel"]:
        part = part.T
    if part.dtype == np.float32:
        return np.array(part, order="C")
    with np.errstate(over="ignore"):
        return np.array(part, dtype=np.float32, order="C")


def format_missing_facts(facts: FileFacts, missing: Sequence[str]) -> str:
    """Describe the metadata that a file does not state."""
    shape = f" (shape {facts.shape})" if facts.shape is not None else ""
    inside = f" (members: {', '.join(facts.members[:12])})" if facts.members else ""
    phrases = {
        "array": "which member holds the signal: 'array'",
        "sampling_rate_hz": "its rate: 'sampling_rate_hz'",
        "channels": "which of its columns are channels: 'channels'"
        if "channels" in facts.questions
        else "the names of its channels: 'channels'",
        "axes": 'which axis is which: \'axes\', such as ["sample", "channel"]',
    }
    for key in missing:
        if key in facts.questions:
            phrases[key] += f" ({facts.questions[key]})"
    return f"does not say {' nor '.join(phrases[key] for key in missing)}{shape}{inside}"


def resolve_axes(facts: FileFacts, entry: ManifestEntry) -> tuple[str, ...] | None:
    """Return the meaning of each axis, inferred from the channel count; None if it is ambiguous."""
    if entry.axes is not None or facts.axes is not None:
        return facts.axes or entry.axes
    assert facts.shape is not None
    if len(facts.shape) == 1:
        return ("sample",)
    count = len(facts.channels) if facts.channels is not None else len(entry.channels or ())
    leading: tuple[str, ...] = ("record",) if len(facts.shape) == 3 else ()
    first, second = (size == count for size in facts.shape[-2:])
    if first == second:
        return None
    return (*leading, "channel", "sample") if first else (*leading, "sample", "channel")
