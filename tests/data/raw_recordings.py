"""Recordings of given arrays, and their check before training."""

import dataclasses
from typing import Any

import numpy as np

from physio_mae_jax.data.channel_plan import ChannelPlanner
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.validation import CheckReport, check_recordings


@dataclasses.dataclass
class Recordings:
    """A source in memory, 100 Hz; an Exception in place of a signal is raised on reading."""

    signals: list
    names: list[tuple[str, ...]]

    @property
    def recordings(self) -> list[RecordingInfo]:
        return [
            RecordingInfo(
                record_id=f"r{i}",
                subject_id=f"s{i}",
                channel_names=names,
                sampling_rate_hz=100.0,
                num_samples=1000 if isinstance(signal, Exception) else signal.shape[1],
            )
            for i, (signal, names) in enumerate(zip(self.signals, self.names, strict=True))
        ]

    def get_file(self, index: int) -> str:
        return ""

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        if isinstance(self.signals[index], Exception):
            raise self.signals[index]
        return self.signals[index][:, start:stop]


def good(num_samples: int = 1000, channels: int = 2) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(channels, num_samples))
    return noise.astype(np.float32)


def source_of(*signals: object, names: tuple[str, ...] = ("II", "PPG")) -> Recordings:
    return Recordings(list(signals), [names] * len(signals))


def run(source: Recordings, **changes: Any) -> tuple[list[int], CheckReport]:
    settings: dict[str, Any] = {
        "min_seconds": 5.0,
        "planner": ChannelPlanner("II,PPG"),
        "missing_channels": "error",
        "on_invalid": "error",
        "progress": False,
    }
    return check_recordings(source, **(settings | changes))


def broken(row: int, first: int, count: int, value: float) -> np.ndarray:
    signal = good()
    signal[row, first : first + count] = value
    return signal
