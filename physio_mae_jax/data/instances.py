"""Labeled instances to evaluate: whole recordings, beats, or intervals of one state.

An *instance* is the unit that has a label. A recording is an instance with many windows, whose
predictions are averaged; a beat or an interval is an instance with one window. Of a task that
labels samples, an instance is a recording, and its windows follow each other.
"""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np

from physio_mae_jax.data.annotation_windows import annotation_windows
from physio_mae_jax.data.auxiliary_targets import AuxiliaryTargets
from physio_mae_jax.data.labels import RecordingLabels, class_names, get_task, recording_labels
from physio_mae_jax.data.sample_labels import (
    SAMPLE_LEVEL,
    UNLABELED,
    SampleLabels,
    sample_classes,
)
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.setting_ranges import check_fields

_LOG = logging.getLogger(__name__)
ProblemType = Literal["multilabel", "multiclass", "regression", "segmentation"]
_ATTRIBUTE = "attribute:"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """Which labeled instances are evaluated.

    Attributes:
        task: Name of a task of the prepared data sets, or 'attribute:age' to predict a number.
        classes: Comma-separated class names; a name with a comma is written in quotes. Instances of
            other classes are excluded; samples of other classes count as 'none'. '' for all.
        require_label: Whether recordings without a class are excluded ('multilabel' only).
        max_windows: Maximum number of evenly spread windows of a recording that are predicted. The
            prediction of a whole recording is their average.
        event_offset: Position of an event in its window, from 0 (start) to 1 (end).
        window_seconds: Window length (s); 0 for the length the encoder was trained on.
        window_stride: Distance between the starts of evaluation windows of a recording, and of all
            windows of an interval, in window lengths; below 1 they overlap. Labels of samples are
            evaluated without overlap.
    """

    task: str
    classes: str = ""
    require_label: bool = True
    max_windows: int = 16
    event_offset: float = 0.5
    window_seconds: float = 0.0
    window_stride: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "labels")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instances:
    """Labeled instances of some recordings.

    Attributes:
        kind: Kind of the task.
        classes: Class names [Y]; for regression the name of the predicted number; for segmentation
            'none' first.
        recording: [U] index of each instance's recording in the source.
        ids: [U] text id of each instance.
        targets: [U, Y] float32: 0 or 1, one-hot rows for exclusive classes, or numbers. For
            segmentation the number of labeled samples of each class.
        first, last: [U] first and last start of windows that show the instance, in samples at the
            model's rate; -1 for any start of the recording.
        window_instance, window_start: [n] instance and start of each evaluation window, in the
            order of the instances.
        sample_labels: Labels of the samples of a window, for segmentation.
        auxiliary: Targets of an auxiliary task, of training instances only.
    """

    kind: ProblemType
    classes: tuple[str, ...]
    recording: np.ndarray
    ids: np.ndarray
    targets: np.ndarray
    first: np.ndarray
    last: np.ndarray
    window_instance: np.ndarray
    window_start: np.ndarray
    sample_labels: SampleLabels | None = None
    auxiliary: AuxiliaryTargets | None = None

    def __len__(self) -> int:
        return len(self.recording)

    def window_targets(
        self, instances: Sequence[int], windows: Sequence[tuple[int, int]]
    ) -> np.ndarray:
        """Return the targets of windows (recording, start) of instances.

        Returns:
            [B, Y] float32 as in ``targets``; [B, M, L] int8 for segmentation, see
            ``SampleLabels.of_windows``.
        """
        if self.sample_labels is None:
            return self.targets[np.asarray(instances)]
        return self.sample_labels.of_windows(windows)

    def evaluation_targets(self) -> np.ndarray:
        """Return the targets that predictions are compared with.

        Returns:
            ``targets`` [U, Y]; for segmentation the labels [n, M, L] int8 of the evaluation
            windows, where each sample of a recording has its label in one window only.
        """
        if self.sample_labels is None:
            return self.targets
        recordings = self.recording[self.window_instance]
        labels = self.sample_labels.of_windows(
            list(zip(recordings.tolist(), self.window_start.tolist(), strict=True))
        )
        for window in range(1, len(labels)):
            if recordings[window] == recordings[window - 1]:
                end = self.window_start[window - 1] + labels.shape[-1]
                shared = max(0, int(end - self.window_start[window]))
                labels[window, :, :shared] = UNLABELED
        return labels

    def subset(self, chosen: np.ndarray) -> "Instances":
        """Return the instances at the given ascending indices."""
        position = np.full(len(self), -1)
        position[chosen] = np.arange(len(chosen))
        kept = position[self.window_instance] >= 0
        return dataclasses.replace(
            self,
            recording=self.recording[chosen],
            ids=self.ids[chosen],
            targets=self.targets[chosen],
            first=self.first[chosen],
            last=self.last[chosen],
            window_instance=position[self.window_instance[kept]],
            window_start=self.window_start[kept],
            auxiliary=self.auxiliary and self.auxiliary.subset(chosen),
        )


def collect_instances(
    source: ConcatSource, reader: WindowReader, indices: Sequence[int], config: LabelConfig
) -> Instances:
    """List the labeled instances of some recordings.

    Args:
        source: Joined prepared data sets.
        reader: Window reader of ``source``.
        indices: Recording indices in ``source``.
        config: Task, classes and window selection.

    Raises:
        DataError: a data set has no such task, or no instance has a label.
    """
    if config.task.startswith(_ATTRIBUTE):
        instances = _attribute_instances(source, reader, indices, config)
    else:
        level = _get_level(source, indices, config.task)
        if level == SAMPLE_LEVEL:
            return _sample_instances(source, reader, indices, config)
        by_recording = level == "recording"
        find = _recording_instances if by_recording else _annotation_instances
        instances = find(source, reader, indices, config)
    instances = _select_classes(instances, config)
    if not len(instances):
        raise DataError(f"none of {len(indices)} recordings has a label of task {config.task!r}.")
    return instances


def _select_classes(instances: Instances, config: LabelConfig) -> Instances:
    """Keep the classes named in the config, in that order."""
    class_list = _chosen_classes(config, instances.classes)
    if not class_list:
        return instances
    columns = [instances.classes.index(name) for name in class_list]
    instances = dataclasses.replace(
        instances,
        classes=tuple(class_list),
        targets=np.ascontiguousarray(instances.targets[:, columns]),
    )
    if instances.kind == "multiclass" or config.require_label:
        instances = instances.subset(np.flatnonzero(instances.targets.any(axis=1)))
    return instances


def _chosen_classes(config: LabelConfig, known: Sequence[str]) -> list[str]:
    """Return the classes named in the config, which must be known; empty if it names none."""
    class_list = class_names(config.classes, known)
    for name in class_list:
        if class_list.count(name) > 1:
            raise ConfigError(f"labels.classes names {name!r} more than once.")
        if name not in known:
            shown = [f'"{other}"' if "," in other else other for other in known]
            raise ConfigError(
                f"labels.classes names {name!r}; task {config.task!r} has {', '.join(shown)}. "
                "Write a name with a comma in quotes: labels.classes='\"a, b\",c'."
            )
    return class_list


def _get_level(source: ConcatSource, indices: Sequence[int], task: str) -> str:
    levels = {}
    for index in indices:
        origin, _ = source.origin(index)
        if id(origin) not in levels:
            levels[id(origin)] = get_task(origin, task)["level"]
    if len(set(levels.values())) != 1:
        raise DataError(
            f"task {task!r} has different levels in the data sets; evaluate them separately."
        )
    return next(iter(levels.values()))


def _recording_instances(
    source: ConcatSource, reader: WindowReader, indices: Sequence[int], config: LabelConfig
) -> Instances:
    labels: RecordingLabels = recording_labels(source, indices, config.task)
    used = labels.known.copy()
    if config.require_label and not labels.exclusive:
        used &= labels.values.any(axis=1)
    if not used.all():
        _LOG.info(
            "task %s: %d of %d recordings have no label and are excluded",
            *(config.task, int((~used).sum()), len(used)),
        )
    kept = [index for index, keep in zip(indices, used, strict=True) if keep]
    kind: ProblemType = "multiclass" if labels.exclusive else "multilabel"
    return _make_instances(
        source, reader, kept, config, kind, labels.classes, labels.values[used].astype(np.float32)
    )


def _attribute_instances(
    source: ConcatSource, reader: WindowReader, indices: Sequence[int], config: LabelConfig
) -> Instances:
    name = config.task.removeprefix(_ATTRIBUTE)
    found: dict[int, float] = {}
    for index in indices:
        value = source.recordings[index].attributes.get(name)
        if isinstance(value, int | float) and np.isfinite(value):
            found[index] = float(value)
    if len(found) < len(indices):
        _LOG.info(
            "%s: %d of %d recordings have no numeric value and are excluded",
            *(name, len(indices) - len(found), len(indices)),
        )
    targets = np.asarray(list(found.values()), np.float32)[:, None]
    return _make_instances(source, reader, list(found), config, "regression", (name,), targets)


def _sample_instances(
    source: ConcatSource, reader: WindowReader, indices: Sequence[int], config: LabelConfig
) -> Instances:
    """List the recordings with labeled samples, and windows that cover them."""
    known = sample_classes(source, indices, config.task)
    chosen = _chosen_classes(config, known) or known
    labels = SampleLabels(source, reader, config.task, chosen)
    counts = {index: labels.count(index) for index in indices}
    kept = [index for index, count in counts.items() if count.any()]
    if len(kept) < len(indices):
        _LOG.info(
            "task %s: %d of %d recordings have no labeled sample and are excluded",
            *(config.task, len(indices) - len(kept), len(indices)),
        )
    if not kept:
        raise DataError(
            f"none of {len(indices)} recordings has a labeled sample of task {config.task!r} in "
            "the channels of data.channels."
        )
    targets = np.asarray([counts[index] for index in kept], np.float32)
    instances = _make_instances(
        source, reader, kept, config, "segmentation", labels.classes, targets
    )
    return dataclasses.replace(instances, sample_labels=labels)


def _make_instances(
    source: ConcatSource,
    reader: WindowReader,
    indices: Sequence[int],
    config: LabelConfig,
    kind: ProblemType,
    classes: tuple[str, ...],
    targets: np.ndarray,
) -> Instances:
    window_instance, window_start = [], []
    length = reader.config.num_samples
    step = max(1, round(config.window_stride * length))
    for instance, index in enumerate(indices):
        found = reader.starts(index)
        is_segmented = kind == "segmentation"
        starts = found.covering(length) if is_segmented else found.every(step)
        chosen = np.linspace(0, len(starts) - 1, min(config.max_windows, len(starts))).astype(int)
        window_instance += [instance] * len(chosen)
        window_start += [starts[i] for i in chosen]
    any_start = np.full(len(indices), -1, np.int64)
    return Instances(
        kind=kind,
        classes=classes,
        recording=np.asarray(indices, np.int64),
        ids=np.asarray([source.name(i) for i in indices], dtype=str),
        targets=targets.reshape(len(indices), len(classes)),
        first=any_start,
        last=any_start,
        window_instance=np.asarray(window_instance, np.int64),
        window_start=np.asarray(window_start, np.int64),
    )


def _annotation_instances(
    source: ConcatSource, reader: WindowReader, indices: Sequence[int], config: LabelConfig
) -> Instances:
    """List events, or windows of intervals, that lie within gap-free signal."""
    table, names = annotation_windows(
        source, reader, indices, config.task, config.event_offset, config.window_stride
    )
    return Instances(
        kind="multiclass",
        classes=names,
        recording=table[:, 0],
        ids=np.asarray([f"{source.name(r)}@{s}" for r, s, *_ in table.tolist()], dtype=str),
        targets=np.eye(len(names), dtype=np.float32)[table[:, 4]],
        first=table[:, 2],
        last=table[:, 3],
        window_instance=np.arange(len(table)),
        window_start=table[:, 1],
    )
