"""Conversion of a recording to tfds examples.

Each example is one segment of one recording, so that a window of a long recording is read without
the rest of it. Examples are self-contained: each contains ids, channels, units, rate and labels.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from physio_mae_jax.data.prepared_index import segment_samples
from physio_mae_jax.preparation.recording import LabelTask, Recording, RecordRef

_BYTES = tfds.features.Encoding.BYTES


def features(tasks: Sequence[LabelTask]) -> tfds.features.FeaturesDict:
    """Return the features of an example.

    ``labels_known`` is 0 if the source has no label for a task.
    """
    parts: dict[str, tfds.features.FeatureConnector] = {
        "record_id": tfds.features.Text(doc="Unique in the data set."),
        "subject_id": tfds.features.Text(doc="Subject id."),
        "signal": tfds.features.Tensor(
            shape=(None, None),
            dtype=np.float32,
            encoding=_BYTES,
            doc="[channel, sample] in physical units; NaN where the source has no sample.",
        ),
        "channels": tfds.features.Text(doc="Names of the rows of the signal, comma separated."),
        "units": tfds.features.Text(doc="Their units, comma separated."),
        "sampling_rate_hz": tfds.features.Tensor(shape=(1,), dtype=np.float64, encoding=_BYTES),
        "start_sample": tfds.features.Scalar(np.int64, doc="Of this segment in the recording."),
    }
    for task in tasks:
        if task.level == "recording":
            parts[f"labels_{task.name}"] = tfds.features.Tensor(
                shape=(len(task.classes),), dtype=np.int8, encoding=_BYTES, doc=task.description
            )
            parts[f"labels_{task.name}_known"] = tfds.features.Scalar(np.int64)
        elif task.level != "sample":
            parts[f"annotations_{task.name}"] = tfds.features.Tensor(
                shape=(None, 3),
                dtype=np.int64,
                encoding=_BYTES,
                doc="[start, stop, class] in samples of the recording; those that begin here.",
            )
    for name in _sample_label_sources(tasks):
        parts[f"annotated_{name}"] = tfds.features.Tensor(
            shape=(None, 2),
            dtype=np.int64,
            encoding=_BYTES,
            doc="[start, stop) in samples of the recording in which every interval is marked; "
            "those that reach into this segment.",
        )
    return tfds.features.FeaturesDict(parts)


def make_examples(
    ref: RecordRef, recording: Recording, tasks: Sequence[LabelTask]
) -> list[dict[str, object]]:
    """Divide a recording into one or more examples of ``features``."""
    length, total = segment_samples(recording.sampling_rate_hz), recording.signal.shape[1]
    shared: dict[str, object] = {
        "record_id": ref.record_id,
        "subject_id": ref.subject_id,
        "channels": ",".join(recording.channels),
        "units": ",".join(recording.units),
        "sampling_rate_hz": np.array([recording.sampling_rate_hz]),
    }
    for task in (task for task in tasks if task.level == "recording"):
        labels = recording.labels.get(task.name)
        shared[f"labels_{task.name}_known"] = int(labels is not None)
        shared[f"labels_{task.name}"] = (
            np.zeros(len(task.classes), np.int8) if labels is None else labels
        )
    examples, sources = [], _sample_label_sources(tasks)
    for start in range(0, total, length):
        example = dict(shared)
        example["start_sample"] = start
        example["signal"] = np.ascontiguousarray(
            recording.signal[:, start : start + length], np.float32
        )
        for task in (task for task in tasks if task.level in ("event", "interval")):
            example[f"annotations_{task.name}"] = _annotations_between(
                recording, task.name, start, start + length
            )
        for name in sources:
            ranges = np.asarray(recording.annotated.get(name, ()), np.int64).reshape(-1, 2)
            reached = (ranges[:, 0] < start + length) & (ranges[:, 1] > start)
            example[f"annotated_{name}"] = ranges[reached]
        examples.append(example)
    return examples


def _sample_label_sources(tasks: Sequence[LabelTask]) -> list[str]:
    """Return the tasks of level 'interval' whose intervals label samples, in order."""
    return list(dict.fromkeys(name for task in tasks for name in task.channel_tasks.values()))


def _annotations_between(recording: Recording, task: str, start: int, stop: int) -> np.ndarray:
    """Return the annotations that begin in [start, stop) as [n, 3] int64."""
    annotations = recording.annotations.get(task)
    if annotations is None:
        return np.zeros((0, 3), np.int64)
    table = np.stack(
        [annotations.start, annotations.stop, annotations.label.astype(np.int64)], axis=1
    )
    return table[(annotations.start >= start) & (annotations.start < stop)]
