"""Recordings with labels, and the layout of a raw data set."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.types import JsonMapping

# Values of the attribute 'sex', by the letter that sources use.
SEXES: Mapping[str, str] = {"F": "female", "M": "male"}
LabelLevel = Literal["recording", "event", "interval", "sample"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelTask:
    """A label task of a data set.

    Attributes:
        name: Task name, such as 'superclass'.
        classes: Class names, in the order of the labels.
        level: Labeled unit: a recording, an event (a beat), an interval (a sleep stage), or each
            sample of each channel.
        exclusive: True if exactly one class applies, False if any number may.
        description: Description, one sentence.
        channel_tasks: For level 'sample': channel -> task of level 'interval' with the same
            classes, whose intervals label the samples of the channel; '' stands for every channel
            that is not named.
    """

    name: str
    classes: tuple[str, ...]
    level: LabelLevel = "recording"
    exclusive: bool = False
    description: str = ""
    channel_tasks: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def encode(self, names: Sequence[str]) -> np.ndarray:
        """Encode the classes ``names`` of a recording as labels [Y] int8.

        Raises:
            DataError: a name is not a class of this task.
        """
        labels = np.zeros(len(self.classes), np.int8)
        for name in names:
            if name not in self.classes:
                raise DataError(
                    f"label {name!r} is not a class of task {self.name!r} "
                    f"({', '.join(self.classes)})."
                )
            labels[self.classes.index(name)] = 1
        return labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotations:
    """Labeled positions of a recording, in samples of its signal.

    Attributes:
        start, stop: Sample range of each annotation [n] int64; an event has ``stop = start + 1``.
        label: Class index [n] int16.
    """

    start: np.ndarray
    stop: np.ndarray
    label: np.ndarray

    @classmethod
    def from_triples(cls, annotations: Sequence[tuple[int, int, int]]) -> "Annotations":
        """Create annotations from (start, stop, label) triples, in ascending order."""
        table = np.asarray(sorted(annotations), np.int64).reshape(-1, 3)
        return cls(start=table[:, 0], stop=table[:, 1], label=table[:, 2].astype(np.int16))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordRef:
    """Reference to a recording that is found but not read; small and picklable.

    Attributes:
        record_id: Id that is unique in the data set.
        subject_id: Id of the subject.
        files: Files of the recording, relative to the source folder.
        details: Data the layout needs to read it, such as a row of a table.
    """

    record_id: str
    subject_id: str
    files: tuple[str, ...]
    details: JsonMapping = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording as read, without filtering or imputation.

    Attributes:
        signal: Samples [M, n] float32 in ``units``, NaN if the source marks them as invalid.
        channels: Canonical channel names [M].
        units: Channel units [M], '' if the source states none.
        sampling_rate_hz: Sampling rate of all channels in Hz.
        labels: Labels [Y] int8 for each task of level 'recording'; a task is absent if the
            source has no label.
        annotations: Annotations for each task of level 'event' or 'interval'.
        annotated: Task of level 'interval' -> [start, stop) ranges in which every interval is
            marked, so that a sample outside all intervals belongs to none. Samples outside these
            ranges and outside all intervals have no label in a task of level 'sample'.
        attributes: Other metadata, such as age, sex and fold: texts and numbers.
        conversions: Conversions applied to the samples, one sentence each.
    """

    signal: np.ndarray
    channels: tuple[str, ...]
    units: tuple[str, ...]
    sampling_rate_hz: float
    labels: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, Annotations] = dataclasses.field(default_factory=dict)
    annotated: Mapping[str, Sequence[tuple[int, int]]] = dataclasses.field(default_factory=dict)
    attributes: Mapping[str, str | float | int | bool] = dataclasses.field(default_factory=dict)
    conversions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or len(self.signal) != len(self.channels):
            raise DataError(
                f"a signal of shape {self.signal.shape} has {len(self.channels)} channel names "
                f"({', '.join(self.channels)}); expected one row per channel."
            )
        if len(set(self.channels)) != len(self.channels):
            raise DataError(f"channel names are not unique: {', '.join(self.channels)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingDefaults:
    """Default training settings of a data set; the training configs start from them.

    Attributes:
        channels: Channel names or a preset of ``signals.channels``; '' for all of each recording.
        max_window_seconds: Longest window that its recordings allow (s); None for any.
        task: Default task; '' if there is none.
        split_rule: Split for that task, see ``data.splits``.
        classes: Comma-separated classes of the task to use; '' for all.
        label_window_seconds: Window length for the task (s); 0 for that of the encoder.
        head: Head for the task, a name of ``models.heads.HEADS``.
    """

    channels: str = ""
    max_window_seconds: float | None = None
    task: str = ""
    split_rule: str = "random=|0.2|0.2"
    classes: str = ""
    label_window_seconds: float = 0.0
    head: str = "linear"


class DatasetLayout(abc.ABC):
    """Layout of a data set on disk; picklable, since worker processes use it.

    A subclass defines the following as class attributes or properties.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Name of the data set, one word."""

    @property
    def variant(self) -> str:
        """Variant of the preparation; '' if there is only one."""
        return ""

    @property
    def version(self) -> str:
        """Version of the prepared data, 'a.b.c'; increment it when the preparation changes."""
        return "1.0.0"

    @property
    def tasks(self) -> tuple[LabelTask, ...]:
        """Label tasks."""
        return ()

    @property
    def expected_channels(self) -> tuple[str, ...]:
        """Channels whose absence from a recording is reported."""
        return ()

    @property
    def filters(self) -> str:
        """Processing of the samples before this preparation."""
        return "as recorded"

    @property
    def defaults(self) -> TrainingDefaults:
        """Default training settings of the data set."""
        return TrainingDefaults()

    @property
    def needed_files(self) -> tuple[str, ...]:
        """Globs of the files that ``--download`` fetches; '*' also matches slashes."""
        return ("*",)

    @property
    def download(self) -> str:
        """What to download: a URL, with the size in brackets if known; '' for ``homepage``."""
        return ""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Description of the data set, one sentence."""

    @property
    def homepage(self) -> str:
        """URL of the data set."""
        return ""

    @property
    def citation(self) -> str:
        """Citation of the data set."""
        return ""

    @property
    def license(self) -> str:
        """License of the data."""
        return ""

    @abc.abstractmethod
    def find(self, source: Path) -> Sequence[RecordRef]:
        """List the recordings of a source folder, from its tables and headers only.

        Raises:
            DataError: the folder does not have this layout, a table is broken, an id occurs twice
                or tables contradict each other.
        """

    @abc.abstractmethod
    def read(self, source: Path, ref: RecordRef) -> Recording:
        """Read one recording.

        Raises:
            DataError: its files are missing, truncated, altered or contradict the header.
        """


def reject_duplicates(refs: Sequence[RecordRef], where: str) -> None:
    """Raise a DataError if two recordings have the same id."""
    seen: dict[str, RecordRef] = {}
    for ref in refs:
        if ref.record_id in seen:
            raise DataError(
                f"{where}: record id {ref.record_id!r} occurs twice ({', '.join(ref.files)} and "
                f"{', '.join(seen[ref.record_id].files)}); every recording needs its own id."
            )
        seen[ref.record_id] = ref


def reject_subjects_in_two_folds(
    folds: Sequence[tuple[str, str, object]], where: str = "", hint: str = ""
) -> None:
    """Raise a DataError if a subject is in two folds.

    Args:
        folds: (subject, record, fold) of each record.
        where: Prefix of the message, such as the file with the folds and a colon.
        hint: Suffix of the message: how to fix the folds.
    """
    seen: dict[str, tuple[str, object]] = {}
    for subject, record, fold in folds:
        other, first = seen.setdefault(subject, (record, fold))
        if first != fold:
            raise DataError(
                f"{where}subject {subject} is in fold {first} (record {other}) and in fold {fold} "
                f"(record {record}); all records of a subject must be in one fold. {hint}"
            )


def require_file(path: Path, what: str) -> Path:
    """Return ``path`` if it is a file.

    Raises:
        DataError: it is not; the message states the expected file.
    """
    if path.is_file():
        return path
    raise DataError(f"{path} is missing; expected {what}. Check --source.")
