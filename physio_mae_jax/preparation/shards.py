"""Writing one shard of recordings as an array_record file, atomically."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from array_record.python import array_record_module
from tensorflow_datasets.core import example_serializer

from physio_mae_jax.atomic_files import atomic_write, write_text
from physio_mae_jax.data.fingerprints import block_hashes
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.prepared_index import PreparedRecord, StoredArtifact, segment_samples
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.examples import features, make_examples
from physio_mae_jax.preparation.recording import DatasetLayout, Recording, RecordRef
from physio_mae_jax.signals import quality

UNREADABLE = "cannot be read"
EMPTY = "no samples"
DEAD = "all channels are constant"
_MAX_STORED_RUNS = 1_000
_MAX_SUMMARY_BYTES = 1 << 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardTask:
    """One shard to write; picklable, for worker processes and other machines.

    Attributes:
        layout: Layout that reads the recordings.
        source: Raw data folder.
        refs: Recordings of the shard.
        path: Path of the shard file; ``path + '.json'`` describes its content.
        fingerprint: Fingerprint of all inputs of the shard; a shard with a different one is
            rewritten.
    """

    layout: DatasetLayout
    source: Path
    refs: tuple[RecordRef, ...]
    path: Path
    fingerprint: str

    @property
    def summary_path(self) -> Path:
        """Summary file beside the shard, written last.

        Its existence marks the shard as complete.
        """
        return self.path.with_name(self.path.name + ".json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RejectedRecording:
    """A recording that is not in the prepared data set.

    Attributes:
        record_id: Id of the recording.
        files: Files of the recording.
        reason: One of the reasons of this module.
        detail: Description of the problem.
    """

    record_id: str
    files: tuple[str, ...]
    reason: str
    detail: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardSummary:
    """Content of a shard.

    Attributes:
        num_examples, num_bytes: Number and size of the examples, before compression.
        records: Recordings kept; their ``first_example`` counts from the start of the shard.
        rejections: Recordings skipped.
    """

    num_examples: int
    num_bytes: int
    records: tuple[PreparedRecord, ...]
    rejections: tuple[RejectedRecording, ...]


def write_shard(task: ShardTask) -> ShardSummary:
    """Write the shard of a task, or return its summary if it exists already.

    Raises:
        OSError: the file cannot be written.
    """
    if (done := read_summary(task)) is not None:
        return done
    try:
        with atomic_write(task.path, flush=True) as temporary:
            summary = _write(task, temporary)
    except RuntimeError as error:
        # Raised by the writer if the disk is full or unavailable.
        raise OSError(f"cannot write {task.path}: {error}") from error
    content = vars(summary) | {
        "file_bytes": task.path.stat().st_size,
        "records": [record.to_json() for record in summary.records],
        "rejections": [vars(rejection) for rejection in summary.rejections],
        "fingerprint": task.fingerprint,
    }
    write_text(task.summary_path, json.dumps(content), flush=True)
    return summary


def read_summary(task: ShardTask) -> ShardSummary | None:
    """Return the summary of a shard; None if it is not complete."""
    try:
        hint = "prepare the data set again."
        content = read_json(task.summary_path, hint, _MAX_SUMMARY_BYTES)
        values = check_types(dict, content, str(task.summary_path), hint)
        is_complete = values["file_bytes"] == task.path.stat().st_size
        if values["fingerprint"] != task.fingerprint or not is_complete:
            return None
        return ShardSummary(
            num_examples=values["num_examples"],
            num_bytes=values["num_bytes"],
            records=tuple(PreparedRecord.from_json(row) for row in values["records"]),
            rejections=tuple(
                RejectedRecording(**(row | {"files": tuple(row["files"])}))
                for row in values["rejections"]
            ),
        )
    except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # truncated or altered: the shard is rewritten


def _write(task: ShardTask, path: Path) -> ShardSummary:
    spec = features(task.layout.tasks)
    serializer = example_serializer.ExampleSerializer(spec.get_serialized_info())
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    records: list[PreparedRecord] = []
    rejections: list[RejectedRecording] = []
    num_examples = num_bytes = 0
    try:
        for ref, recording in _read_usable(task, rejections):
            examples = make_examples(ref, recording, task.layout.tasks)
            for example in examples:
                serialized = serializer.serialize_example(spec.encode_example(example))
                writer.write(serialized)
                num_bytes += len(serialized)
            records.append(_describe(ref, recording, task.layout, num_examples, len(examples)))
            num_examples += len(examples)
    finally:
        writer.close()
    return ShardSummary(
        num_examples=num_examples,
        num_bytes=num_bytes,
        records=tuple(records),
        rejections=tuple(rejections),
    )


def _read_usable(
    task: ShardTask, rejections: list[RejectedRecording]
) -> Iterator[tuple[RecordRef, Recording]]:
    """Yield the usable recordings, appending unusable ones to ``rejections``."""
    for ref in task.refs:

        def reject(reason: str, detail: str, ref: RecordRef = ref) -> None:
            rejections.append(
                RejectedRecording(
                    record_id=ref.record_id, files=ref.files, reason=reason, detail=detail
                )
            )

        try:
            recording = task.layout.read(task.source, ref)
        except DataError as error:
            reject(UNREADABLE, str(error))
            continue
        except MemoryError:
            raise  # unrelated to the content of the file
        except Exception as error:
            # One broken file in thousands must not stop the run; it is reported like the others.
            reject(UNREADABLE, f"{', '.join(ref.files)}: {type(error).__name__}: {error}")
            continue
        if recording.signal.shape[1] == 0:
            reject(EMPTY, f"{', '.join(ref.files)} contains no samples")
        elif not _has_changing_channel(recording):
            reject(DEAD, f"{', '.join(ref.files)}: every channel is constant or missing")
        else:
            yield ref, recording


def _has_changing_channel(recording: Recording) -> bool:
    for values in recording.signal:
        finite = values[(values == values) & (abs(values) != float("inf"))]
        if len(finite) > 1 and finite.min() < finite.max():
            return True
    return False


def _describe(
    ref: RecordRef,
    recording: Recording,
    layout: DatasetLayout,
    first_example: int,
    num_examples: int,
) -> PreparedRecord:
    artifacts = quality.find_artifacts(
        recording.signal,
        recording.channels,
        recording.units,
        recording.sampling_rate_hz,
        expected=layout.expected_channels,
    )
    return PreparedRecord(
        record_id=ref.record_id,
        subject_id=ref.subject_id,
        first_example=first_example,
        num_examples=num_examples,
        segment_samples=segment_samples(recording.sampling_rate_hz),
        num_samples=recording.signal.shape[1],
        sampling_rate_hz=recording.sampling_rate_hz,
        channels=recording.channels,
        units=recording.units,
        labels={task: labels.nonzero()[0].tolist() for task, labels in recording.labels.items()},
        annotations={
            task: list(
                zip(
                    annotations.start.tolist(),
                    annotations.stop.tolist(),
                    annotations.label.tolist(),
                    strict=True,
                )
            )
            for task, annotations in recording.annotations.items()
        },
        attributes=dict(recording.attributes),
        findings=[_store_artifact(artifact) for artifact in artifacts],
        conversions=list(recording.conversions),
        block_hashes=block_hashes(recording.signal, recording.sampling_rate_hz),
        annotated={task: list(ranges) for task, ranges in recording.annotated.items()},
    )


def _store_artifact(artifacts: quality.Artifact) -> StoredArtifact:
    # All runs of missing samples are kept, since they determine the valid windows.
    runs = (
        artifacts.runs
        if artifacts.kind == quality.NOT_FINITE
        else artifacts.runs[:_MAX_STORED_RUNS]
    )
    return {
        "kind": artifacts.kind,
        "channel": artifacts.channel,
        "num_runs": len(artifacts.runs),
        "num_samples": artifacts.num_samples,
        "runs": list(runs),
        "detail": artifacts.detail,
    }
