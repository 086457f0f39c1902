"""Labels of the recordings of prepared data sets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import JoinedSource
from physio_mae_jax.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingLabels:
    """What a task says of some recordings.

    Attributes:
        task: its name.
        classes: names [K].
        exclusive: True where exactly one class holds.
        values: [N, K] int8, 0 or 1.
        known: [N] bool, False where the source has no answer; its values are all 0 then.
    """

    task: str
    classes: tuple[str, ...]
    exclusive: bool
    values: np.ndarray
    known: np.ndarray


def recording_labels(source: JoinedSource, indices: Sequence[int], task: str) -> RecordingLabels:
    """Look up the labels of recordings.

    Args:
        source: of prepared data sets.
        indices: of the recordings.
        task: of level 'recording', which every data set must have, with the same classes.

    Raises:
        DataError: a data set is not prepared, lacks the task or has other classes.
    """
    found: dict[str, Mapping[str, Any]] = {}
    labels: list[Sequence[int] | None] = []
    for index in indices:
        origin, place = source.origin(index)
        if not isinstance(origin, PreparedSource):
            raise DataError(
                f"{source.recordings[index].data_set or 'the data'} has no labels, since it is not "
                "a prepared data set; prepare it with python -m physio_mae_jax.prepare, a folder "
                "of your own with 'labels' in its manifest."
            )
        if origin.contract.name not in found:
            found[origin.contract.name] = _task_of(origin, task)
        labels.append(origin.records[place].labels.get(task))
    classes = {tuple(description["classes"]) for description in found.values()}
    if len(classes) != 1:
        raise DataError(
            f"task {task!r} has other classes in each of {', '.join(found)}; judge them apart."
        )
    names = classes.pop()
    values = np.zeros((len(labels), len(names)), np.int8)
    for row, held in zip(values, labels, strict=True):
        row[list(held or ())] = 1
    exclusive = all(description["exclusive"] for description in found.values())
    return RecordingLabels(
        task=task,
        classes=names,
        exclusive=exclusive,
        values=values,
        known=np.asarray([held is not None for held in labels], bool),
    )


def _task_of(source: PreparedSource, task: str) -> Mapping[str, Any]:
    description = source.contract.task(task)
    if description["level"] != "recording":
        raise DataError(
            f"task {task!r} of {source.contract.name} labels {description['level']}s, not whole "
            "recordings."
        )
    return description
