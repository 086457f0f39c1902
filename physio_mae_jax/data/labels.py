"""Labels of the recordings of prepared data sets."""

import csv
import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.types import JsonMapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingLabels:
    """Labels of recordings for one task.

    Attributes:
        task: Name of the task.
        classes: Class names [Y].
        exclusive: True if exactly one class applies to each recording.
        values: [n, Y] int8, 0 or 1.
        known: [n] bool, False for recordings without a label; their values are all 0.
    """

    task: str
    classes: tuple[str, ...]
    exclusive: bool
    values: np.ndarray
    known: np.ndarray


def recording_labels(source: ConcatSource, indices: Sequence[int], task: str) -> RecordingLabels:
    """Look up the labels of recordings.

    Args:
        source: Joined prepared data sets.
        indices: Recording indices in ``source``.
        task: Task of level 'recording' that every data set has with the same classes.

    Raises:
        DataError: a data set is not prepared, lacks the task or has other classes.
    """
    found: dict[int, JsonMapping] = {}
    labels: list[Sequence[int] | None] = []
    for index in indices:
        origin, position = source.origin(index)
        description = found.setdefault(id(origin), get_task(origin, task))
        if description["level"] != "recording":
            raise DataError(f"task {task!r} labels {description['level']}s, not whole recordings.")
        assert isinstance(origin, PreparedSource)
        labels.append(origin.records[position].labels.get(task))
    names = common_classes(found.values(), task)
    values = np.zeros((len(labels), len(names)), np.int8)
    exclusive = all(description["exclusive"] for description in found.values())
    for index, row, record_labels in zip(indices, values, labels, strict=True):
        if record_labels is None:
            continue
        check_classes(record_labels, names, task, source, index)
        if exclusive and len(record_labels) != 1:
            raise DataError(
                f"recording {source.recordings[index].record_id!r} has {len(record_labels)} "
                f"classes of task {task!r}, which are mutually exclusive; fix its labels and "
                "prepare it again."
            )
        row[list(record_labels)] = 1
    return RecordingLabels(
        task=task,
        classes=names,
        exclusive=exclusive,
        values=values,
        known=np.asarray([record_labels is not None for record_labels in labels], bool),
    )


def class_names(text: str | Sequence[str], known: Sequence[str]) -> list[str]:
    """Parse the class names of a setting.

    Args:
        text: List of names, or comma-separated text; names with commas are in double quotes.
        known: Existing class names; a text equal to one of them is treated as a single name.

    Raises:
        ConfigError: the text cannot be parsed.
    """
    if not isinstance(text, str):
        return [str(name).strip() for name in text]
    if text.strip() in known:
        return [text.strip()]
    try:
        rows = list(csv.reader([text], skipinitialspace=True))
    except csv.Error as error:
        raise ConfigError(f"labels.classes={text[:80]!r} cannot be parsed: {error}.") from error
    return [name.strip() for name in (rows[0] if rows else []) if name.strip()]


def check_classes(
    labels: Sequence[int], classes: Sequence[str], task: str, source: ConcatSource, index: int
) -> None:
    """Raise a DataError if a label of a recording is not a class index."""
    for label in labels:
        if not 0 <= label < len(classes):
            raise DataError(
                f"recording {source.recordings[index].record_id!r} has label {label} of task "
                f"{task!r}, which has {len(classes)} classes, indexed from 0; fix its labels and "
                "prepare it again."
            )


def common_classes(descriptions: Iterable[JsonMapping], task: str) -> tuple[str, ...]:
    """Return the classes of a task, which all data sets must have in common.

    Args:
        descriptions: Description of the task in each data set, of ``get_task``.
        task: Its name, for the error.

    Raises:
        DataError: Data sets differ in the classes.
    """
    classes = {tuple(description["classes"]) for description in descriptions}
    if len(classes) != 1:
        raise DataError(
            f"task {task!r} has different classes in the data sets; evaluate them separately."
        )
    return classes.pop()


def get_task(source: SignalSource, task: str) -> JsonMapping:
    """Return the description of a task: 'classes', 'level' and 'exclusive'.

    Raises:
        DataError: the source is not a prepared data set, or has no such task.
    """
    if not isinstance(source, PreparedSource):
        name = source.recordings[0].data_set or "the data"
        raise DataError(
            f"{name} has no labels, since it is not a prepared data set; prepare it with python -m "
            "physio_mae_jax.prepare; for your own folder, put the labels into its manifest."
        )
    return source.metadata.task(task)
