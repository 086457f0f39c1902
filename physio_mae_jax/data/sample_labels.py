"""A class for every sample of every channel of a window, made from the intervals of a recording.

A task of level 'sample' names, for each channel, the interval task that labels its samples
(``preparation.recording.LabelTask``). A sample within an interval has the interval's class. A
sample outside all intervals belongs to none of the classes, but only where the data set states that
every interval is marked; elsewhere it has no label, and neither losses nor metrics count it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.data.labels import check_classes, common_classes, get_task
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show
from physio_mae_jax.types import JsonMapping

BACKGROUND = "none"  # the class of samples outside all intervals, index 0
UNLABELED = -1
SAMPLE_LEVEL = "sample"
_ANY_CHANNEL = ""


@dataclasses.dataclass(frozen=True, eq=False)
class _ChannelMarks:
    """Marks of a channel at the model's rate.

    Attributes:
        intervals: [k, 3] start, stop and class.
        annotated: [r, 2] start and stop of the ranges in which every interval is marked.
    """

    intervals: np.ndarray
    annotated: np.ndarray

    def fill(self, start: int, labels: np.ndarray) -> None:
        """Set the labels [L] of samples [start, start + L)."""
        stop = start + len(labels)
        for begin, end in _overlapping(self.annotated, start, stop) - start:
            labels[max(0, begin) : end] = 0
        for begin, end, label in _overlapping(self.intervals, start, stop) - (start, start, 0):
            labels[max(0, begin) : end] = label


def _overlapping(table: np.ndarray, start: int, stop: int) -> np.ndarray:
    return table[(table[:, 0] < stop) & (table[:, 1] > start)]


class SampleLabels:
    """Labels of the samples of any window of the recordings of a reader."""

    def __init__(
        self, source: ConcatSource, reader: WindowReader, task: str, classes: Sequence[str]
    ) -> None:
        """Label samples by some classes of a task.

        Args:
            source: Joined prepared data sets.
            reader: Window reader of ``source``.
            task: Task of level 'sample'.
            classes: Classes of the task to use; samples of its other classes are of none.
        """
        self.classes = (BACKGROUND, *classes)
        self._source = source
        self._reader = reader
        self._task = task
        self._marks: dict[int, list[_ChannelMarks | None]] = {}

    def of_windows(self, windows: Sequence[tuple[int, int]]) -> np.ndarray:
        """Label the samples of windows.

        Args:
            windows: Recording and first sample, at the model's rate, of each window.

        Returns:
            [B, M, L] int8: index of the class, 0 for none of them, -1 without a label.
        """
        config = self._reader.config
        shape = (len(windows), config.num_channels, config.num_samples)
        labels = np.full(shape, UNLABELED, np.int8)
        for window, (recording, start) in zip(labels, windows, strict=True):
            for row, marks in zip(window, self._marks_of(recording), strict=False):
                if marks is not None:
                    marks.fill(start, row)
        return labels

    def count(self, recording: int) -> np.ndarray:
        """Count the labeled samples of each class in all channels of a recording: [Y] int64."""
        info = self._source.recordings[recording]
        length = self._reader.config.change(info).length_after(info.num_samples)
        counts = np.zeros(len(self.classes) + 1, np.int64)
        for marks in self._marks_of(recording):
            if marks is not None:
                labels = np.full(length, UNLABELED, np.int8)
                marks.fill(0, labels)
                counts += np.bincount(labels - UNLABELED, minlength=len(counts))
        return counts[1:]

    def _marks_of(self, recording: int) -> list[_ChannelMarks | None]:
        """Return the marks of each channel of a recording's windows; None without any."""
        if recording not in self._marks:
            self._marks[recording] = self._read_marks(recording)
        return self._marks[recording]

    def _read_marks(self, recording: int) -> list[_ChannelMarks | None]:
        origin, position = self._source.origin(recording)
        assert isinstance(origin, PreparedSource)
        record, info = origin.records[position], self._source.recordings[recording]
        task_of = channel_tasks(origin, self._task)
        change = self._reader.config.change(info)
        ratio = change.up / change.down
        found: list[_ChannelMarks | None] = []
        for channel in self._reader.plan(recording).channels:
            name = task_of.get(channel, task_of.get(_ANY_CHANNEL))
            if name is None or not (record.annotations.get(name) or record.annotated.get(name)):
                found.append(None)
                continue
            intervals = np.asarray(record.annotations.get(name, ()), np.int64).reshape(-1, 3)
            annotated = np.asarray(record.annotated.get(name, ()), np.int64).reshape(-1, 2)
            intervals = _at_rate(intervals, ratio)
            intervals[:, 2] = self._class_index(origin, name, recording)[intervals[:, 2]]
            found.append(_ChannelMarks(intervals, _at_rate(annotated, ratio)))
        return found

    def _class_index(self, origin: PreparedSource, task: str, recording: int) -> np.ndarray:
        """Return the index of each class of an interval task among ``classes``; 0 for others."""
        names = origin.metadata.task(task)["classes"]
        _, position = self._source.origin(recording)
        labels = {label for _, _, label in origin.records[position].annotations.get(task, ())}
        check_classes(sorted(labels), names, task, self._source, recording)
        return np.asarray([self.classes.index(n) if n in self.classes else 0 for n in names])


def channel_tasks(source: PreparedSource, task: str) -> Mapping[str, str]:
    """Return the interval task that labels the samples of each channel.

    Raises:
        DataError: The task names an interval task that does not exist or has other classes.
    """
    description = source.metadata.task(task)
    found = description.get("channel_tasks", {})
    for name in found.values():
        other = source.metadata.task(name)
        if other["level"] != "interval" or other["classes"] != description["classes"]:
            raise DataError(
                f"task {show(task)} of data set {source.metadata.name!r} takes labels from task "
                f"{show(name)}, which is of level {other['level']!r} with the classes "
                f"{', '.join(other['classes'])}; it must be of level 'interval' with the classes "
                f"{', '.join(description['classes'])}. Correct its layout and prepare it again."
            )
    return found


def sample_classes(source: ConcatSource, indices: Sequence[int], task: str) -> tuple[str, ...]:
    """Return the classes of a task of level 'sample' that all data sets have.

    Raises:
        DataError: Data sets differ in the classes, or a class has the name of the background.
    """
    descriptions: dict[int, JsonMapping] = {}
    for index in indices:
        origin, _ = source.origin(index)
        if id(origin) not in descriptions:
            descriptions[id(origin)] = get_task(origin, task)
    names = common_classes(descriptions.values(), task)
    if BACKGROUND in names:
        raise DataError(
            f"task {task!r} has a class {BACKGROUND!r}, which is the name of samples outside all "
            "intervals; give it another name in the layout and prepare the data again."
        )
    return names


def _at_rate(table: np.ndarray, ratio: float) -> np.ndarray:
    """Round starts and stops (the first two columns) to samples at another rate.

    Adjacent intervals stay adjacent, and none becomes empty.
    """
    if ratio == 1:
        return table.copy()
    rounded = table.copy()
    rounded[:, :2] = np.floor(table[:, :2] * ratio + 0.5).astype(np.int64)
    rounded[:, 1] = np.maximum(rounded[:, 1], rounded[:, 0] + (table[:, 1] > table[:, 0]))
    return rounded
