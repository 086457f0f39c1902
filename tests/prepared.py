"""Small prepared data sets with signals and labels that are known."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.recording import (
    Annotations,
    DatasetLayout,
    LabelTask,
    Recording,
    RecordRef,
)


@dataclasses.dataclass(frozen=True)
class MadeUp(DatasetLayout):
    """Recordings that are given."""

    set_name: str
    made_tasks: tuple[LabelTask, ...]
    recordings: tuple[tuple[str, str, Recording], ...]  # id, subject, recording

    description = "Made up."

    @property
    def name(self) -> str:
        return self.set_name

    @property
    def tasks(self) -> tuple[LabelTask, ...]:
        return self.made_tasks

    def find(self, source: Path) -> Sequence[RecordRef]:
        return [RecordRef(record_id=r, subject_id=s, files=()) for r, s, _ in self.recordings]

    def read(self, source: Path, ref: RecordRef) -> Recording:
        return next(found for name, _, found in self.recordings if name == ref.record_id)


def prepare_made_up(
    root: Path, name: str, tasks: Sequence[LabelTask], recordings: Sequence[tuple[str, str, Any]]
) -> Path:
    """Prepare recordings under ``root``; return the folder of the data set."""
    layout = MadeUp(name, tuple(tasks), tuple(recordings))
    builder = make_builder(layout)(source=root, data_dir=root)
    builder.prepare()
    return Path(builder.data_dir)


CLASSES = LabelTask(name="wave", classes=("slow", "fast"), exclusive=True)
BEATS = LabelTask(name="beat", classes=("N", "V"), level="event", exclusive=True)
STATES = LabelTask(name="state", classes=("rest", "work"), level="interval", exclusive=True)
FLAGS = LabelTask(name="flags", classes=("a", "b", "c"))


def waves(
    root: Path, name: str = "waves", subjects: int = 24, seconds: int = 12, channels: int = 2
) -> Path:
    """Prepare sines of 1 or 4 Hz in noise: every subject has two recordings of one kind.

    Tasks: 'wave' (the kind), 'flags' (a = fast, b by chance, c of one subject), 'beat' (an event
    each second, every other one a V with a spike) and 'state' (halves of the recording, with a
    tremor in that of 'work'). Attributes: fold (1 to 4), visit (0 or 1), sex, age (20 to 73,
    higher where fast).
    """
    rng = np.random.default_rng(0)
    recordings = [
        (
            f"p{subject}_{visit}",
            f"p{subject}",
            _first(channels, _wave(subject, visit, seconds, rng)),
        )
        for subject in range(subjects)
        for visit in range(2)
    ]
    return prepare_made_up(root, name, (CLASSES, FLAGS, BEATS, STATES), recordings)


def _first(channels: int, recording: Recording) -> Recording:
    return dataclasses.replace(
        recording,
        signal=recording.signal[:channels],
        channels=recording.channels[:channels],
        units=recording.units[:channels],
    )


def _wave(subject: int, visit: int, seconds: int, rng: np.random.Generator) -> Recording:
    rate, samples, fast = 100.0, seconds * 100, subject % 2
    half, time = samples // 2, np.arange(samples) / rate
    wave = np.sin(2 * np.pi * (1 + 3 * fast) * time + rng.uniform(0, 2 * np.pi))
    signal = np.stack([wave, -wave]) + 0.3 * rng.normal(size=(2, samples))
    signal[0] += 3 * np.exp(-(((time % 2 - 1) / 0.05) ** 2))
    signal[1, half:] += np.sin(2 * np.pi * 12 * time[half:])
    return Recording(
        signal=signal.astype(np.float32),
        channels=("II", "PPG"),
        units=("mV", ""),
        sampling_rate_hz=rate,
        labels={
            "wave": np.eye(2, dtype=np.int8)[fast],
            "flags": np.array([fast, rng.random() < 0.5, subject == 0], np.int8),
        },
        annotations={
            "beat": Annotations.from_triples(
                [(s * 100, s * 100 + 1, s % 2) for s in range(seconds)]
            ),
            "state": Annotations.from_triples([(0, half, 0), (half, samples, 1)]),
        },
        attributes={
            "fold": subject // 2 % 4 + 1,
            "visit": visit,
            "sex": ("male", "female")[subject % 3 == 0],
            "age": float(20 + subject + 30 * fast),
        },
    )


PULSES = LabelTask(
    name="pulses",
    classes=("up", "down"),
    level="sample",
    exclusive=True,
    channel_tasks={"II": "pulse_II", "PPG": "pulse_PPG"},
)


def pulses(
    root: Path,
    name: str = "pulses",
    subjects: int = 16,
    seconds: int = 12,
    classes: tuple[str, ...] = PULSES.classes,
) -> Path:
    """Prepare pulses of 0.3 s, up or down, in noise: those of PPG are 0.2 s later than those of II.

    Task 'pulses' has a class for each sample, from the interval tasks 'pulse_II' and 'pulse_PPG';
    the first and the last second are not annotated. Attribute: fold (1 to 4). Classes after the
    first two do not occur.
    """
    intervals = [
        LabelTask(name=name, classes=classes, level="interval", exclusive=True)
        for name in PULSES.channel_tasks.values()
    ]
    rng = np.random.default_rng(1)
    recordings = [(f"p{i}", f"p{i}", _pulses(i, seconds, rng)) for i in range(subjects)]
    task = dataclasses.replace(PULSES, classes=classes)
    return prepare_made_up(root, name, (*intervals, task), recordings)


def _pulses(subject: int, seconds: int, rng: np.random.Generator) -> Recording:
    shape = np.sin(np.pi * np.arange(30) / 30)
    signal = 0.1 * rng.normal(size=(2, seconds * 100))
    annotations: dict[str, list[tuple[int, int, int]]] = {"pulse_II": [], "pulse_PPG": []}
    for second in range(seconds):
        label = int(rng.integers(2))
        for row, (task, delay) in enumerate((("pulse_II", 30), ("pulse_PPG", 50))):
            start = second * 100 + delay
            signal[row, start : start + 30] += (2, -2)[label] * shape
            if 0 < second < seconds - 1:
                annotations[task].append((start, start + 30, label))
    return Recording(
        signal=signal.astype(np.float32),
        channels=("II", "PPG"),
        units=("mV", ""),
        sampling_rate_hz=100.0,
        annotations={n: Annotations.from_triples(found) for n, found in annotations.items()},
        annotated={name: [(100, (seconds - 1) * 100)] for name in annotations},
        attributes={"fold": subject % 4 + 1},
    )
