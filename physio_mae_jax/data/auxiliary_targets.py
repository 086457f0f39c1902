"""Targets of a second task for the same training instances."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from physio_mae_jax.data.labels import recording_labels
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import DataError

UNKNOWN = -1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuxiliaryTargets:
    """Targets of an auxiliary task, for training only.

    Attributes:
        kind: 'multiclass' if exactly one class applies, else 'multilabel'.
        classes: Class names [A].
        values: [U, A] float32, 0 or 1; rows of ``UNKNOWN`` where an instance has no label.
    """

    kind: Literal["multilabel", "multiclass"]
    classes: tuple[str, ...]
    values: np.ndarray

    @property
    def num_known(self) -> int:
        """Number of instances with a label."""
        return int((self.values != UNKNOWN).all(axis=1).sum())

    def subset(self, chosen: np.ndarray) -> "AuxiliaryTargets":
        """Return the targets of the instances at the given indices."""
        return dataclasses.replace(self, values=self.values[chosen])


def auxiliary_targets(
    source: ConcatSource, recordings: Sequence[int], task: str
) -> AuxiliaryTargets:
    """Look up the labels of a task for instances by their recordings.

    Args:
        source: Joined prepared data sets.
        recordings: [U] recording index of each instance.
        task: Task of level 'recording' that every data set has with the same classes.

    Raises:
        DataError: A data set lacks the task, or no instance has a label of it.
    """
    indices, rows = np.unique(np.asarray(recordings), return_inverse=True)
    labels = recording_labels(source, indices.tolist(), task)
    if not labels.known.any():
        raise DataError(
            f"none of {len(indices)} training recordings has a label of task {task!r}; choose "
            "another auxiliary.task, or '' for none."
        )
    values = np.where(labels.known[:, None], labels.values, UNKNOWN).astype(np.float32)
    return AuxiliaryTargets(
        kind="multiclass" if labels.exclusive else "multilabel",
        classes=labels.classes,
        values=values[rows],
    )
