"""The index of a prepared data set: one JSON line per recording, and their shared metadata.

``dataset.json`` has the properties shared by all recordings, ``recordings.jsonl`` describes each
one, and the array_record files have the samples. All are written by ``preparation``. The metadata
has hashes of itself (``data.sealed_json``) and of the index, and the size of every file, so changes
and truncated copies are detected when the data set is opened, before any sample is read.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

from physio_mae_jax.data.format_version import unreadable_version
from physio_mae_jax.data.json_reader import read_json_lines
from physio_mae_jax.data.json_types import Between, check_types
from physio_mae_jax.data.regular_file import check_file_name
from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show
from physio_mae_jax.signals.quality import NOT_FINITE
from physio_mae_jax.types import JsonObject

METADATA_FILE = "dataset.json"
_FORMER_METADATA_FILE = "contract.json"  # of version 0.1
INDEX_FILE = "recordings.jsonl"
SPLIT_NAME = "recordings"
SEGMENT_SECONDS = 60.0
HINT = "copy the folder again, or prepare the data set again with --overwrite."

_Count = Annotated[int, Between(0)]
_Hash = Annotated[int, Between(0, 2**64 - 1)]
_Attribute = str | bool | int | float | None


class StoredArtifact(TypedDict):
    """Artifact of ``signals.quality`` in a channel; ``runs`` are [start, stop) in samples."""

    kind: str
    channel: str
    num_runs: _Count
    num_samples: _Count
    runs: Sequence[tuple[_Count, _Count]]
    detail: str


class StoredTask(TypedDict):
    """A labeled task of the data set, see ``preparation.recording.LabelTask``."""

    name: str
    classes: Sequence[str]
    level: Literal["recording", "event", "interval", "sample"]
    exclusive: bool
    description: str
    channel_tasks: NotRequired[Mapping[str, str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedRecord:
    """Description of a prepared recording, without its samples.

    Attributes:
        record_id, subject_id: Ids of the recording and its subject.
        first_example, num_examples: Range of examples with the samples of the recording.
        segment_samples: Samples per example, except the last.
        num_samples, sampling_rate_hz: Length in samples and rate in Hz of the signal.
        channels, units: Names and units [M] of the channels.
        labels: Task of level 'recording' -> indices of the classes that apply.
        annotations: Task of level 'event' or 'interval' -> [start, stop, label] in samples.
        attributes: Age, sex, fold and other metadata of the source.
        findings: Findings of ``signals.quality``: kind, channel, runs, detail.
        conversions: Descriptions of conversions applied to the samples.
        block_hashes: Hashes of ``data.fingerprints.block_hashes``.
        annotated: Task of level 'interval' -> [start, stop) ranges in samples in which every
            interval is marked.
    """

    record_id: str
    subject_id: str
    first_example: _Count
    num_examples: Annotated[int, Between(1)]
    segment_samples: Annotated[int, Between(1)]
    num_samples: Annotated[int, Between(1)]
    sampling_rate_hz: Annotated[float, Between(1e-9, 1e12)]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    labels: Mapping[str, Sequence[int]]
    annotations: Mapping[str, Sequence[tuple[int, int, int]]]
    attributes: Mapping[str, _Attribute]
    findings: Sequence[StoredArtifact]
    conversions: Sequence[str]
    block_hashes: Sequence[_Hash]
    annotated: Mapping[str, Sequence[tuple[_Count, _Count]]] = dataclasses.field(
        default_factory=dict
    )

    def to_json(self) -> JsonObject:
        """Return the content of a line of ``recordings.jsonl``."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: object, where: str = INDEX_FILE) -> "PreparedRecord":
        """Inverse of ``to_json``.

        Raises:
            DataError: a value is invalid, or two values contradict each other.
        """
        record = check_types(cls, values, where, HINT)
        problem = _contradiction(record)
        if problem:
            raise DataError(f"{where}: {problem}; {HINT}")
        return record


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One array_record file.

    Attributes:
        file: File name in the folder.
        num_examples: Number of examples in the file.
        num_bytes: File size in bytes.
    """

    file: str
    num_examples: _Count
    num_bytes: _Count

    def __post_init__(self) -> None:
        check_file_name(self.file)
        # A record takes at least 8 bytes, which bounds the number of examples.
        if 8 * self.num_examples > self.num_bytes:
            raise DataError(f"{self.num_bytes} bytes cannot contain {self.num_examples} examples.")

    @classmethod
    def from_file(cls, path: Path, num_examples: int) -> "Shard":
        """Describe a written file."""
        return cls(file=path.name, num_examples=num_examples, num_bytes=path.stat().st_size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedMetadata:
    """Properties shared by all recordings of a prepared data set.

    Attributes:
        name, variant, version: Identification of the data set.
        channels: Channel name -> unit, for all channels of any recording.
        sampling_rates_hz: Sampling rates of the recordings in Hz, ascending.
        tasks: 'name', 'classes', 'level', 'exclusive', 'description' and, since per-sample labels
            exist, 'channel_tasks' of each task.
        filters: Description of filters applied at the source, as far as known.
        num_recordings, num_subjects: Number of recordings and subjects.
        content_hash: Hash over ids and samples; equal for equal data.
        index_sha256: SHA-256 of ``recordings.jsonl``.
        shards: Array_record files, in the order of their examples.
        license, homepage, citation: License, web page and citation of the source.
    """

    name: str
    variant: str
    version: str
    channels: Mapping[str, str]
    sampling_rates_hz: Sequence[float]
    tasks: Sequence[StoredTask]
    filters: str
    num_recordings: _Count
    num_subjects: _Count
    content_hash: str
    index_sha256: str
    shards: tuple[Shard, ...]
    license: str
    homepage: str
    citation: str

    def task(self, name: str) -> StoredTask:
        """Return a task by its name.

        Raises:
            DataError: there is no such task.
        """
        for task in self.tasks:
            if task["name"] == name:
                return task
        known = ", ".join(task["name"] for task in self.tasks) or "none"
        raise DataError(f"data set {self.name!r} has no task {name!r}; it has {known}.")


def segment_samples(sampling_rate_hz: float) -> int:
    """Return the number of samples per example, except the last one of a recording."""
    return max(1, round(SEGMENT_SECONDS * sampling_rate_hz))


def index_text(records: Sequence[PreparedRecord]) -> str:
    """Return the content of ``recordings.jsonl``."""
    lines = (json.dumps(record.to_json(), separators=(",", ":")) + "\n" for record in records)
    return "".join(lines)


def has_former_version(folder: Path) -> bool:
    """Return whether a folder is a data set prepared by version 0.1."""
    found = [os.path.lexists(folder / name) for name in (METADATA_FILE, _FORMER_METADATA_FILE)]
    return found == [False, True]


def read_metadata(folder: Path) -> PreparedMetadata:
    """Read the metadata of a prepared data set.

    Raises:
        DataError: the metadata is missing, has another format, or was changed.
    """
    path = folder / METADATA_FILE
    if has_former_version(folder):
        raise unreadable_version(str(folder))
    return check_types(PreparedMetadata, read_sealed(path, HINT), str(path), HINT)


def read_prepared_index(folder: Path, metadata: PreparedMetadata) -> list[PreparedRecord]:
    """Read the index of a prepared data set.

    Raises:
        DataError: the index is missing, broken or was changed; the message names the line of an
            invalid value.
    """
    path, hashed = folder / INDEX_FILE, hashlib.sha256()
    records = []
    first_example = 0
    for where, values in read_json_lines(path, HINT, hashed):
        record = PreparedRecord.from_json(values, where)
        problem = _disagreement(record, first_example, metadata)
        if problem:
            raise DataError(f"{where}: {problem}; {HINT}")
        first_example += record.num_examples
        records.append(record)
    if hashed.hexdigest() != metadata.index_sha256:
        raise DataError(
            f"{path} was changed after it was written: its SHA-256 is not the one in "
            f"{METADATA_FILE}; {HINT}"
        )
    num_stored = sum(shard.num_examples for shard in metadata.shards)
    if num_stored != first_example or len(records) != metadata.num_recordings:
        raise DataError(
            f"{path} lists {len(records)} recordings with {first_example} examples, but "
            f"{METADATA_FILE} {metadata.num_recordings} with {num_stored}; {HINT}"
        )
    return records


def _contradiction(record: PreparedRecord) -> str:
    """Describe a contradiction between values of a recording; '' if there is none."""
    segment = segment_samples(record.sampling_rate_hz)
    facts = {
        "segment_samples": (record.segment_samples, segment),
        "num_examples": (record.num_examples, -(-record.num_samples // segment)),
        "the number of units": (len(record.units), len(record.channels)),
        "the number of distinct channels": (len(set(record.channels)), len(record.channels)),
    }
    for name, (found, required) in facts.items():
        if found != required:
            return f"{name} is {found}, but the other values require {required}"
    for finding in record.findings:
        if finding["kind"] == NOT_FINITE and finding["channel"] not in record.channels:
            return f"a finding names channel {show(finding['channel'])}, which does not exist"
        for start, stop in finding["runs"]:
            if not start <= stop <= record.num_samples:
                return f"a finding has the run [{start}, {stop}), which is outside the signal"
    for task, ranges in record.annotated.items():
        for start, stop in ranges:
            if not start <= stop <= record.num_samples:
                return (
                    f"the annotated range [{start}, {stop}) of task {show(task)} is outside the "
                    "signal"
                )
    if not record.channels:
        return "it has no channels"
    return ""


def _disagreement(record: PreparedRecord, first_example: int, metadata: PreparedMetadata) -> str:
    """Describe a conflict with the metadata or earlier recordings; '' if there is none."""
    if record.first_example != first_example:
        return f"first_example must be {first_example}; got {record.first_example}"
    for channel, unit in zip(record.channels, record.units, strict=True):
        if metadata.channels.get(channel) != unit:
            return f"channel {show(channel)} in {show(unit)} is not in {METADATA_FILE}"
    return ""
