"""Labeled instances to evaluate: whole recordings, beats, or intervals of one state.

An *instance* is the unit that has a label. A recording is an instance with many windows, whose
predictions are averaged; a beat or an interval is an instance with one window.
"""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np

from physio_mae_jax.data.labels import (
    RecordingLabels,
    check_classes,
    class_names,
    get_task,
    recording_labels,
)
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_starts import WindowStarts
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.types import JsonMapping

_LOG = logging.getLogger(__name__)
ProblemType = Literal["multilabel", "multiclass", "regression"]
_ATTRIBUTE = "attribute:"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """Which labeled instances are evaluated.

    Attributes:
        task: Name of a task of the prepared data sets, or 'attribute:age' to predict a number.
        classes: Comma-separated class names; a name with a comma is written in quotes. Instances of
            other classes are excluded. '' for all.
        require_label: Whether recordings without a class are excluded ('multilabel' only).
        max_windows: Maximum number of evenly spread windows that a recording's prediction is
            averaged over.
        event_offset: Position of an event in its window, from 0 (start) to 1 (end).
        window_seconds: Window length (s); 0 for the length the encoder was trained on.
        window_stride: Distance between window starts within an interval, in window lengths.
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
        classes: Class names [Y]; for regression the name of the predicted number.
        recording: [U] index of each instance's recording in the source.
        ids: [U] text id of each instance.
        targets: [U, Y] float32: 0 or 1, one-hot rows for exclusive classes, or numbers.
        first, last: [U] first and last start of windows that show the instance, in samples at the
            model's rate; -1 for any start of the recording.
        window_instance, window_start: [n] instance and start of each evaluation window, in the
            order of the instances.
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

    def __len__(self) -> int:
        return len(self.recording)

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
        )


def collect_instances(
    source: ConcatSource, reader: WindowReader, indices: Sequence[int], config: LabelConfig
) -> Instances:
    """List the labeled instances of some recordings.

    Args:
        source: AlignedTracks prepared data sets.
        reader: Window reader of ``source``.
        indices: Recording indices in ``source``.
        config: Task, classes and window selection.

    Raises:
        DataError: a data set has no such task, or no instance has a label.
    """
    if config.task.startswith(_ATTRIBUTE):
        instances = _attribute_instances(source, reader, indices, config)
    elif _get_level(source, indices, config.task) == "recording":
        instances = _recording_instances(source, reader, indices, config)
    else:
        instances = _annotation_instances(source, reader, indices, config)
    instances = _select_classes(instances, config)
    if not len(instances):
        raise DataError(f"none of {len(indices)} recordings has a label of task {config.task!r}.")
    return instances


def _select_classes(instances: Instances, config: LabelConfig) -> Instances:
    """Keep the classes named in the config, in that order."""
    class_list = class_names(config.classes, instances.classes)
    if not class_list:
        return instances
    for name in class_list:
        if class_list.count(name) > 1:
            raise ConfigError(f"labels.classes names {name!r} more than once.")
        if name not in instances.classes:
            shown = [f'"{known}"' if "," in known else known for known in instances.classes]
            raise ConfigError(
                f"labels.classes names {name!r}; task {config.task!r} has {', '.join(shown)}. "
                "Write a name with a comma in quotes: labels.classes='\"a, b\",c'."
            )
    columns = [instances.classes.index(name) for name in class_list]
    instances = dataclasses.replace(
        instances,
        classes=tuple(class_list),
        targets=np.ascontiguousarray(instances.targets[:, columns]),
    )
    if instances.kind == "multiclass" or config.require_label:
        instances = instances.subset(np.flatnonzero(instances.targets.any(axis=1)))
    return instances


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
    for instance, index in enumerate(indices):
        starts = reader.starts(index).end_to_end(reader.config.num_samples)
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
    windows: list[tuple[int, int, int, int, int]] = []  # recording, start, first, last, class
    num_excluded = 0
    descriptions: dict[int, JsonMapping] = {}
    for index in indices:
        origin, position = source.origin(index)
        assert isinstance(origin, PreparedSource)
        description = descriptions.setdefault(id(origin), get_task(origin, config.task))
        starts, info = reader.starts(index), source.recordings[index]
        scale = reader.config.sampling_rate_hz / info.sampling_rate_hz
        find = _window_from_event if description["level"] == "event" else _windows_from_intervals
        for begin, end, label in origin.records[position].annotations.get(config.task, ()):
            found = find(begin * scale, end * scale, starts, reader.config.num_samples, config)
            num_excluded += not found
            windows += [(index, *window, label) for window in found]
    if num_excluded:
        _LOG.info(
            "task %s: %d annotations are excluded: near an end or a gap, or shorter than a window",
            *(config.task, num_excluded),
        )
    classes = {tuple(description["classes"]) for description in descriptions.values()}
    if len(classes) != 1:
        raise DataError(
            f"task {config.task!r} has different classes in the data sets; evaluate them "
            "separately."
        )
    names = classes.pop()
    table = np.asarray(windows, np.int64).reshape(-1, 5)
    for recording, label in set(zip(table[:, 0].tolist(), table[:, 4].tolist(), strict=True)):
        check_classes([label], names, config.task, source, recording)
    return Instances(
        kind="multiclass",
        classes=names,
        recording=table[:, 0],
        ids=np.asarray([f"{source.name(r)}@{s}" for r, s, *_ in windows], dtype=str),
        targets=np.eye(len(names), dtype=np.float32)[table[:, 4]],
        first=table[:, 2],
        last=table[:, 3],
        window_instance=np.arange(len(table)),
        window_start=table[:, 1],
    )


def _window_from_event(
    begin: float, end: float, starts: WindowStarts, length: int, config: LabelConfig
) -> list[tuple[int, int, int]]:
    """Return (start, start, start) of the window around an event, if it has no gap."""
    start = round(begin - config.event_offset * length)
    return [(start, start, start)] if starts.contains(start) else []


def _windows_from_intervals(
    begin: float, end: float, starts: WindowStarts, length: int, config: LabelConfig
) -> list[tuple[int, int, int]]:
    """Return (start, first, last) of windows within an interval.

    Training windows may begin up to half a step earlier or later.
    """
    low, high = int(np.ceil(begin)), int(end) - length
    step = max(1, round(config.window_stride * length))
    windows = []
    for start in range(low, high + 1, step):
        first, last = max(low, start - step // 2), min(high, start + step // 2)
        if starts.contains(start) and starts.contains(first) and starts.contains(last):
            windows.append((start, first, last))
    return windows


def choose_fraction(
    instances: Instances, subjects: Sequence[str], fraction: float, seed: int
) -> Instances:
    """Keep the instances of a fraction of the subjects, with every class represented.

    Args:
        instances: Training instances.
        subjects: [U] subject key of each instance.
        fraction: Fraction of the subjects to keep, in (0, 1].
        seed: Seed of the random choice.

    Returns:
        Instances of at least one subject of every class that occurs: subjects are drawn within
        strata; the stratum of a subject is the rarest class among its instances.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"label_fraction must be in (0, 1]; got {fraction}.")
    if fraction == 1:
        return instances
    stratum = rarest_class(instances.targets, subjects, instances.kind)
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for value in sorted(set(stratum.values())):
        members = sorted(name for name, label in stratum.items() if label == value)
        count = max(1, round(fraction * len(members)))
        chosen |= {members[i] for i in rng.permutation(len(members))[:count]}
    return instances.subset(np.flatnonzero([name in chosen for name in subjects]))


def rarest_class(targets: np.ndarray, subjects: Sequence[str], kind: str) -> dict[str, int]:
    """Return the rarest class among each subject's instances; -1 for none and for regression."""
    if kind == "regression":
        return dict.fromkeys(subjects, -1)
    classes_by_subject: dict[str, np.ndarray] = {}
    for name, row in zip(subjects, targets > 0, strict=True):
        classes_by_subject[name] = classes_by_subject.get(name, False) | row
    count = np.sum(list(classes_by_subject.values()), axis=0)
    order = np.argsort(count, kind="stable")
    return {
        name: next((int(c) for c in order if classes[c]), -1)
        for name, classes in classes_by_subject.items()
    }
