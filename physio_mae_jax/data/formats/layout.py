"""Joining what a file says of itself with what the manifest says: pure functions, no disk."""

import contextlib
import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.manifest import Entry, subject_of_file
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import (
    canonical_name,
    names_of_recording,
    unknown_channel_message,
)

# Clocks and printed rates round; a larger difference is another rate.
RATE_TOLERANCE = 1e-3


class UnreadableError(DataError):
    """A file whose content is broken, as opposed to one that is described wrongly."""


@contextlib.contextmanager
def naming(path: Path, expected: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn the errors that a format's library raises inside the block into one naming the file.

    Args:
        path: the file.
        expected: what the file should have been, for the message.
        errors: what the library raises on broken files.

    Raises:
        UnreadableError: in place of one of ``errors``; a DataError passes as it is.
    """
    try:
        yield
    except DataError:
        raise
    except errors as error:
        raise UnreadableError(
            f"{path} cannot be read ({type(error).__name__}: {str(error)[:300]}); expected "
            f"{expected}. Write or copy it again, or leave it out of the folder or manifest."
        ) from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What a file says of itself; None where it says nothing.

    Attributes:
        shape: of the signal array as stored; None where no array could be singled out.
        axes: meaning of each axis of ``shape``, where the format fixes it.
        channels: names along the channel axis, as spelled in the file.
        sampling_rate_hz: samples a second.
        subjects: the person of each record.
        record_keys: the id of each record.
        member: npz member that holds the signal.
        members: names of all npz members, for messages.
        units: of the channels, as spelled in the file.
        stored_columns: columns of a table, or signals of an EDF file, that hold the channels of
            ``shape``, from 0; None where all do.
        loaded_bytes: memory that reading from the file keeps; 0 for formats read in place.
        companions: names of files beside it that hold its samples.
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
    companions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileRecords:
    """A file of one or more recordings, ready to be read.

    Attributes:
        path: the file.
        shape: of the stored signal array.
        axes: meaning of each axis of ``shape``.
        channel_names: canonical names [M], in the order in which ``cut`` returns them.
        columns: index of each channel along the stored channel axis [M].
        sampling_rate_hz: samples a second.
        num_samples: samples of each record.
        record_keys: id of each record inside the file; None where the file is one record.
        subjects: person of each record, None where unknown.
        member: npz member that holds the signal.
        units: of the channels [M] as the file spells them, else what the manifest says.
        stored_columns: columns of a table, or signals of an EDF file, that hold the channels of
            ``shape``; None where all do.
        loaded_bytes: memory that reading from the file keeps; 0 for formats read in place.
        companions: names of files beside it that hold its samples.
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


def missing_facts(facts: FileFacts, entry: Entry) -> list[str]:
    """Name the manifest fields without which the file cannot be read; empty when it can be.

    Raises:
        DataError: the array has more than three axes or none.
    """
    if facts.shape is None:
        return ["array"]
    if not 1 <= len(facts.shape) <= 3:
        raise DataError(
            f"{entry.label}: the array has shape {facts.shape}; one to three axes are expected "
            "(record, channel, sample)."
        )
    missing = []
    if entry.sampling_rate_hz is None and facts.sampling_rate_hz is None:
        missing.append("sampling_rate_hz")
    if entry.channels is None and facts.channels is None:
        missing.append("channels")
    elif len(facts.shape) > 1 and _axes(facts, entry) is None:
        missing.append("axes")
    return missing


def resolve(facts: FileFacts, entry: Entry, path: Path, relative: Path) -> FileRecords:
    """Join the facts of a file with its manifest entry.

    Args:
        facts: what the file says of itself.
        entry: what the manifest says of it.
        path: the file, as it shall be opened.
        relative: the same relative to the folder.

    Raises:
        DataError: something is missing, or file and manifest contradict each other.
    """
    if missing := missing_facts(facts, entry):
        raise DataError(f"{path} {lacks(facts, missing)}; say it in the manifest.")
    axes = _axes(facts, entry)
    assert facts.shape is not None
    assert axes is not None
    if len(axes) != len(facts.shape):
        raise DataError(
            f"{path}: axes {list(axes)} name {len(axes)} axes; the array has shape {facts.shape}."
        )
    sizes = dict(zip(axes, facts.shape, strict=True))
    names, columns = pick_channels(entry, facts.channels, str(path))
    if not all(name.strip() for name in names):
        raise DataError(f"{path} has a channel without a name; name them in 'channels'.")
    units = _units(facts, entry, columns)
    named = names if facts.channels is None else facts.channels
    if len(named) != sizes.get("channel", 1):
        raise DataError(
            f"{path}: {len(named)} channel names ({', '.join(named)}) for "
            f"{sizes.get('channel', 1)} channels (shape {facts.shape}, axes {', '.join(axes)}); "
            "list one name a channel in 'channels' or correct 'axes'."
        )
    num_records = sizes.get("record", 1)
    keys = _record_keys(facts, num_records, path) if "record" in axes else None
    return FileRecords(
        path=path,
        shape=facts.shape,
        axes=axes,
        channel_names=names_of_recording(names, units),
        columns=columns,
        sampling_rate_hz=_agreed_rate(facts, entry, path),
        num_samples=sizes["sample"],
        record_keys=keys,
        subjects=_subjects(facts, entry, num_records, path, relative),
        member=facts.member,
        units=units,
        stored_columns=facts.stored_columns,
        loaded_bytes=facts.loaded_bytes,
        companions=facts.companions,
    )


def pick_channels(
    entry: Entry, in_file: Sequence[str] | None, where: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Choose the channels of a file that its entry asks for (see ``manifest``).

    Args:
        entry: the entry that lists the file.
        in_file: names as spelled in the file; None for a file that names none.
        where: what the file is called in an error.

    Returns:
        Names to use [M] and the index of each in the file [M].

    Raises:
        DataError: a listed channel is not in the file, or stands for two channels of it.
    """
    if entry.channels is None:
        names = tuple(in_file or ())
        return names, tuple(range(len(names)))
    used = tuple(name for _, name in entry.channels)
    if in_file is None:
        return used, tuple(range(len(used)))
    present = [canonical_name(name) for name in in_file]
    if len(set(present)) < len(present) and len(used) == len(present):
        return used, tuple(range(len(used)))
    columns = []
    for source in (canonical_name(source) for source, _ in entry.channels):
        if source not in present:
            raise DataError(f"{entry.label}: " + unknown_channel_message(source, in_file, where))
        if present.count(source) > 1:
            raise DataError(
                f"{entry.label}: {where} has {present.count(source)} channels named {source!r} "
                f"({', '.join(in_file)}); list {len(present)} names, one for each in order."
            )
        columns.append(present.index(source))
    return used, tuple(columns)


def cut(array: np.ndarray, axes: Sequence[str], record: int, start: int, stop: int) -> np.ndarray:
    """Take samples [start, stop) of one record out of a stored array.

    Args:
        array: as stored, with the meaning of its axes in ``axes``.
        axes: of "record", "channel", "sample".
        record: index along the record axis; not used where there is none.
        start: first sample.
        stop: one past the last sample.

    Returns:
        float32 [M, stop - start], a copy. Values beyond float32 become infinite.
    """
    take: dict[str, int | slice] = {
        "record": record,
        "sample": slice(start, stop),
        "channel": slice(None),
    }
    part = array[tuple(take[axis] for axis in axes)]
    left = [axis for axis in axes if axis != "record"]
    if "channel" not in left:
        part = part[None]
    elif left == ["sample", "channel"]:
        part = part.T
    with np.errstate(over="ignore"):
        return np.array(part, dtype=np.float32, order="C")


def lacks(facts: FileFacts, missing: Sequence[str]) -> str:
    """Word what a file does not say of itself."""
    shape = f" (shape {facts.shape})" if facts.shape is not None else ""
    inside = f" (members: {', '.join(facts.members[:12])})" if facts.members else ""
    words = {
        "array": "which member holds the signal: 'array'",
        "sampling_rate_hz": "its rate: 'sampling_rate_hz'",
        "channels": "the names of its channels: 'channels'",
        "axes": 'which axis is which: \'axes\', such as ["sample", "channel"]',
    }
    return f"does not say {' nor '.join(words[key] for key in missing)}{shape}{inside}"


def _axes(facts: FileFacts, entry: Entry) -> tuple[str, ...] | None:
    """Return the meaning of each axis, guessed from the channel count; None where it is open."""
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


def _agreed_rate(facts: FileFacts, entry: Entry, path: Path) -> float:
    stated, found = entry.sampling_rate_hz, facts.sampling_rate_hz
    rate = stated if found is None else found
    assert rate is not None
    if not (math.isfinite(rate) and rate > 0):
        raise DataError(f"{path} says it has {rate} samples a second; a number above 0 is needed.")
    if stated is not None and abs(stated - rate) > RATE_TOLERANCE * rate:
        raise DataError(
            f"{path} has {rate:g} samples a second, but {entry.label} says {stated:g}; "
            "correct 'sampling_rate_hz' or leave it out."
        )
    return rate


def _units(facts: FileFacts, entry: Entry, columns: Sequence[int]) -> tuple[str, ...]:
    if facts.units is not None:
        return tuple(facts.units[column] for column in columns)
    return (entry.units or "",) * len(columns)


def _record_keys(facts: FileFacts, num_records: int, path: Path) -> tuple[str, ...]:
    if facts.record_keys is None:
        return tuple(str(i) for i in range(num_records))
    _check_count("record ids", facts.record_keys, num_records, path)
    key, count = Counter(facts.record_keys).most_common(1)[0] if num_records else ("", 0)
    if count > 1:
        raise DataError(f"{path}: record id {key!r} occurs {count} times; ids must be unique.")
    return facts.record_keys


def _subjects(
    facts: FileFacts, entry: Entry, num_records: int, path: Path, relative: Path
) -> tuple[str | None, ...]:
    stated = subject_of_file(entry, relative)
    if stated is not None or facts.subjects is None:
        return (stated,) * num_records
    _check_count("subjects", facts.subjects, num_records, path)
    for index, subject in enumerate(facts.subjects):
        if subject.strip().lower() in ("", "nan", "none"):
            raise DataError(f"{path}: record {index} has no subject (found {subject!r}).")
    return facts.subjects


def _check_count(what: str, values: Sequence[str], num_records: int, path: Path) -> None:
    if len(values) != num_records:
        raise DataError(f"{path} has {len(values)} {what} for {num_records} records.")
