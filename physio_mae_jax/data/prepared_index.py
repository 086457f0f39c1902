"""The index of a prepared data set: one JSON line for each recording, and what they share.

``contract.json`` beside it says what all recordings have in common, ``recordings.jsonl`` describes
each; the samples lie in the array_record files. All are written by ``preparation``. The contract
carries hashes of itself (``data.sealed_json``) and of the index, and the size of every file, so a
change or a copy cut short is found when the data set is opened, before any sample is read.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from physio_mae_jax.data.json_reader import read_json, read_json_lines
from physio_mae_jax.data.json_types import Between, show, typed
from physio_mae_jax.data.regular_file import check_file_name
from physio_mae_jax.data.sealed_json import unsealed
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.quality import NOT_FINITE

CONTRACT_FILE = "contract.json"
INDEX_FILE = "recordings.jsonl"
SPLIT_NAME = "recordings"
FORMAT = 2
SEGMENT_SECONDS = 60.0
WAY_OUT = "copy the folder again, or prepare the data set again with --overwrite."

_Count = Annotated[int, Between(0)]
_Hash = Annotated[int, Between(0, 2**64 - 1)]
_Attribute = str | bool | int | float | None


class StoredFinding(TypedDict):
    """What ``signals.quality`` found in a channel; ``runs`` are [start, stop) samples."""

    kind: str
    channel: str
    num_runs: _Count
    num_samples: _Count
    runs: Sequence[tuple[_Count, _Count]]
    detail: str


class StoredTask(TypedDict):
    """A question that the data set has answers to, see ``preparation.recording.LabelTask``."""

    name: str
    classes: Sequence[str]
    level: Literal["recording", "event", "interval"]
    exclusive: bool
    description: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedRecord:
    """What is known of a prepared recording without reading its samples.

    Attributes:
        record_id, subject_id: of the recording.
        first_example, num_examples: the stretch of the data set that holds it.
        segment_samples: samples of each example but the last.
        num_samples, sampling_rate_hz: of the signal.
        channels, units: [M].
        labels: indices of the classes that hold, for each task of level 'recording'.
        marks: [start, stop, label] for each task of level 'event' or 'interval'.
        attributes: age, sex, fold and whatever else the source says.
        findings: of ``signals.quality``: kind, channel, runs, detail.
        conversions: what was done to the samples.
        block_hashes: of ``data.fingerprints``.
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
    marks: Mapping[str, Sequence[tuple[int, int, int]]]
    attributes: Mapping[str, _Attribute]
    findings: Sequence[StoredFinding]
    conversions: Sequence[str]
    block_hashes: Sequence[_Hash]

    def to_json(self) -> dict[str, Any]:
        """Return the content of a line of ``recordings.jsonl``."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Any, where: str = INDEX_FILE) -> "PreparedRecord":
        """Invert ``to_json``.

        Raises:
            DataError: a value is not what it should be, or two contradict each other.
        """
        record = typed(cls, values, where, WAY_OUT)
        problem = _contradiction(record)
        if problem:
            raise DataError(f"{where}: {problem}; {WAY_OUT}")
        return record


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One array_record file.

    Attributes:
        file: its name in the folder.
        num_examples: that it holds.
        num_bytes: its size.
    """

    file: str
    num_examples: _Count
    num_bytes: _Count

    def __post_init__(self) -> None:
        check_file_name(self.file)
        # A record takes 8 bytes at least, so a small file cannot claim to hold very many.
        if 8 * self.num_examples > self.num_bytes:
            raise DataError(f"{self.num_bytes} bytes cannot hold {self.num_examples} examples.")

    @classmethod
    def of(cls, path: Path, num_examples: int) -> "Shard":
        """Describe a file that was written."""
        return cls(file=path.name, num_examples=num_examples, num_bytes=path.stat().st_size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedContract:
    """What the recordings of a prepared data set have in common.

    Attributes:
        name, variant, version: of the data set.
        channels: every channel that some recording has -> its unit.
        sampling_rates_hz: of the recordings, ascending.
        tasks: 'name', 'classes', 'level', 'exclusive', 'description' of each.
        filters: what was done to the samples before they came here, as far as is known.
        num_recordings, num_subjects: of the data set.
        content_hash: over ids and samples; equal for equal data.
        index_sha256: of ``recordings.jsonl``.
        shards: the array_record files, in the order of their examples.
        license, homepage, citation: of the source.
        format: of these files.
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
    format: int = FORMAT

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
    """Return how many samples an example holds, the last of a recording excepted."""
    return max(1, round(SEGMENT_SECONDS * sampling_rate_hz))


def index_text(records: Sequence[PreparedRecord]) -> str:
    """Return the content of ``recordings.jsonl``."""
    lines = (json.dumps(record.to_json(), separators=(",", ":")) + "\n" for record in records)
    return "".join(lines)


def read_contract(folder: Path) -> PreparedContract:
    """Read the contract of a prepared data set.

    Raises:
        DataError: the folder holds none, one of another format, or one that was changed.
    """
    path = folder / CONTRACT_FILE
    values = read_json(path, WAY_OUT)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise DataError(
            f"{path} has format {show(found)}, this program reads {FORMAT}; prepare the data set "
            "again with --overwrite."
        )
    return typed(PreparedContract, unsealed(values, str(path), WAY_OUT), str(path), WAY_OUT)


def read_index(folder: Path, contract: PreparedContract) -> list[PreparedRecord]:
    """Read the index of a prepared data set.

    Raises:
        DataError: the folder holds none, or one that is broken or was changed; a value that
            cannot be is named with its line.
    """
    path, hashed = folder / INDEX_FILE, hashlib.sha256()
    records = []
    first_example = 0
    for where, values in read_json_lines(path, WAY_OUT, hashed):
        record = PreparedRecord.from_json(values, where)
        problem = _disagreement(record, first_example, contract)
        if problem:
            raise DataError(f"{where}: {problem}; {WAY_OUT}")
        first_example += record.num_examples
        records.append(record)
    if hashed.hexdigest() != contract.index_sha256:
        raise DataError(
            f"{path} was changed after it was written: its SHA-256 is not the one in "
            f"{CONTRACT_FILE}; {WAY_OUT}"
        )
    held = sum(shard.num_examples for shard in contract.shards)
    if held != first_example or len(records) != contract.num_recordings:
        raise DataError(
            f"{path} lists {len(records)} recordings with {first_example} examples, "
            f"{CONTRACT_FILE} {contract.num_recordings} with {held}; {WAY_OUT}"
        )
    return records


def _contradiction(record: PreparedRecord) -> str:
    """Say what values of a recording cannot be true together; '' where all can."""
    segment = segment_samples(record.sampling_rate_hz)
    facts = {
        "segment_samples": (record.segment_samples, segment),
        "num_examples": (record.num_examples, -(-record.num_samples // segment)),
        "the number of units": (len(record.units), len(record.channels)),
        "the number of distinct channels": (len(set(record.channels)), len(record.channels)),
    }
    for name, (found, wanted) in facts.items():
        if found != wanted:
            return f"{name} is {found}, where {wanted} is expected of the other values"
    for finding in record.findings:
        if finding["kind"] == NOT_FINITE and finding["channel"] not in record.channels:
            return f"a finding names channel {show(finding['channel'])}, which it has not"
        for start, stop in finding["runs"]:
            if not start <= stop <= record.num_samples:
                return f"a finding has the run [{start}, {stop}), which is not inside"
    if not record.channels:
        return "it has no channels"
    return ""


def _disagreement(record: PreparedRecord, first_example: int, contract: PreparedContract) -> str:
    """Say what of a recording contradicts the contract or the recordings before; '' if nothing."""
    if record.first_example != first_example:
        return f"first_example is {record.first_example}, where {first_example} is next"
    for channel, unit in zip(record.channels, record.units, strict=True):
        if contract.channels.get(channel) != unit:
            return f"channel {show(channel)} in {show(unit)} is not one of {CONTRACT_FILE}"
    return ""
