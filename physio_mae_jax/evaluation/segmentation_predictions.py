"""Predicted and annotated classes of the samples of windows."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.atomic_files import atomic_write
from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.types import JsonObject

_UNKNOWN = -1


class Track(NamedTuple):
    """A channel of a recording, put together from its windows.

    Attributes:
        recording, subject, channel: Names.
        predicted: [k] predicted class of each sample, -1 where there is no prediction.
        targets: [k] annotated class of each sample, -1 without a label.
    """

    recording: str
    subject: str
    channel: str
    predicted: np.ndarray
    targets: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SegmentationPredictions:
    """Predicted and annotated classes of the samples of n windows.

    Attributes:
        classes: Class names [Y]; the first is that of samples in no interval.
        sampling_rate_hz: Sampling rate of the model (Hz).
        recordings, subjects: Recording and subject of each window [n] str, the windows of a
            recording one after the other.
        starts: First sample of each window [n].
        channels: Channel names [n, M] str, '' where a window has fewer channels.
        predicted: [n, M, L] int8, index of the class, -1 in absent channels.
        targets: [n, M, L] int8, index of the class, -1 for samples without a label, and where
            windows of a recording overlap, in the later one.
    """

    classes: tuple[str, ...]
    sampling_rate_hz: float
    recordings: np.ndarray
    subjects: np.ndarray
    starts: np.ndarray
    channels: np.ndarray
    predicted: np.ndarray
    targets: np.ndarray

    @classmethod
    def of_instances(
        cls, reader: WindowReader, instances: Instances, predicted: np.ndarray
    ) -> "SegmentationPredictions":
        """Describe the predictions [n, M, L] of the evaluation windows of instances."""
        infos = [reader.source.recordings[int(index)] for index in instances.recording]
        channels = np.full((len(infos), reader.config.num_channels), "", dtype=object)
        for row, index in zip(channels, instances.recording.tolist(), strict=True):
            names = reader.plan(index).channels
            row[: len(names)] = names
        of_window = instances.window_instance
        return cls(
            classes=instances.classes,
            sampling_rate_hz=reader.config.sampling_rate_hz,
            recordings=instances.ids[of_window],
            subjects=np.asarray([info.subject_key for info in infos])[of_window],
            starts=instances.window_start,
            channels=channels.astype(str)[of_window],
            predicted=predicted,
            targets=instances.evaluation_targets(),
        )

    def tracks(self) -> Iterator[Track]:
        """Put the windows of each recording together; yield its channels that are present."""
        changes = np.flatnonzero(self.recordings[1:] != self.recordings[:-1]) + 1
        for windows in np.split(np.arange(len(self.recordings)), changes):
            first = windows[0]
            predicted, targets = (
                self._join(values, windows) for values in (self.predicted, self.targets)
            )
            for row, channel in enumerate(self.channels[first].tolist()):
                if channel and (predicted[row] != _UNKNOWN).any():
                    yield Track(
                        str(self.recordings[first]),
                        str(self.subjects[first]),
                        channel,
                        predicted[row],
                        targets[row],
                    )

    def _join(self, values: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """Join windows of values [n, M, L]; -1 between them, and the earlier where two overlap."""
        length = values.shape[-1]
        starts = (self.starts[windows] - self.starts[windows[0]]).tolist()
        joined = np.full((values.shape[1], starts[-1] + length), _UNKNOWN, np.int8)
        end = 0
        for window, start in zip(windows, starts, strict=True):
            begin = max(start, end)
            end = start + length
            joined[:, begin:end] = values[window][:, begin - start :]
        return joined

    def save(self, path: Path) -> None:
        """Write the fields as an npz file of plain arrays, atomically."""
        arrays: JsonObject = {
            field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)
        }
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
