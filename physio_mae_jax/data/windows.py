"""One model-ready window out of one recording."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.signals.channels import channel_id, select_channels
from physio_mae_jax.signals.preprocess import RateChange, resample, z_score

Example = dict[str, Any]  # NumPy arrays and scalars, see WindowReader.read


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """What the model is given: the input contract.

    Attributes:
        channels: names in the model's order.
        sampling_rate_hz: rate every recording is brought to.
        num_samples: L, length of a window at that rate.
    """

    channels: tuple[str, ...]
    sampling_rate_hz: float
    num_samples: int

    def __post_init__(self) -> None:
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise ConfigError(
                f"data.channels is {self.channels}; it must name one channel or more, each once."
            )

    @property
    def seconds(self) -> float:
        """Duration of a window."""
        return self.num_samples / self.sampling_rate_hz


class WindowReader:
    """Reads windows of any recording of a source as the model wants them."""

    def __init__(self, source: SignalSource, config: WindowConfig) -> None:
        self.source = source
        self.config = config
        self._channel_ids = np.asarray([channel_id(name) for name in config.channels], np.int32)
        subjects = [info.subject_id for info in source.recordings]
        self._subjects = np.unique(subjects, return_inverse=True)[1].astype(np.int32)

    def num_starts(self, recording: int, tempo: float = 1.0) -> int:
        """Return how many places a window can begin at, at the model's rate and a tempo."""
        info = self.source.recordings[recording]
        starts = self._change(info, tempo).length_after(info.num_samples)
        starts -= self.config.num_samples - 1
        if starts < 1:
            raise DataError(
                f"recording {info.record_id!r} lasts {info.seconds:.2f} s, less than the window "
                f"of {self.config.seconds * tempo:.2f} s; shorten --config.window_seconds or leave "
                "it out with --config.data.on_invalid=skip."
            )
        return starts

    def _change(self, info: RecordingInfo, tempo: float) -> RateChange:
        source_hz = round(info.sampling_rate_hz * tempo, 4)
        return RateChange.between(source_hz, self.config.sampling_rate_hz)

    def read(self, recording: int, start: int, tempo: float = 1.0) -> Example:
        """Read, resample and normalise one window.

        Args:
            recording: index in the source.
            start: first sample at the model's rate and the tempo, in [0, num_starts).
            tempo: how many times as fast the recording is played, all channels alike.

        Returns:
            'signal' [M, L] float32 z-scored and clipped to ±10; 'channel_mask' [M] bool, False
            where the recording lacks the channel or it is flat in this window; 'channel_ids' [M]
            int32; 'subject' int32, the same number for all windows of a subject; 'recording' and
            'start' int32, by which a report can name the window.

        Raises:
            DataError: a value in the window is not finite.
        """
        info = self.source.recordings[recording]
        length = self.config.num_samples
        change = self._change(info, tempo)
        first, last, offset = change.source_span(start, length, info.num_samples)
        raw = self._select(self.source.read(recording, first, last), info)
        self._check_finite(raw, info, first)
        resampled = resample(raw, change)[:, offset : offset + length]
        signal, varies = z_score(resampled)
        return {
            "signal": signal,
            "channel_mask": varies,
            "channel_ids": self._channel_ids,
            "subject": self._subjects[recording],
            "recording": np.int32(recording),
            "start": np.int32(start * tempo),
        }

    def _select(self, raw: np.ndarray, info: RecordingInfo) -> np.ndarray:
        """Order the wanted channels; one that is missing is all zero, hence flat, hence absent."""
        where = f"recording {info.record_id!r}"
        places = select_channels(self.config.channels, info.channel_names, where)
        selected = np.zeros((len(places), raw.shape[1]), raw.dtype)
        for row, place in enumerate(places):
            if place is not None:
                selected[row] = raw[place]
        return selected

    def _check_finite(self, raw: np.ndarray, info: RecordingInfo, first: int) -> None:
        bad = ~np.isfinite(raw)
        if bad.any():
            channel, sample = np.argwhere(bad)[0]
            raise DataError(
                f"recording {info.record_id!r} holds {bad.sum()} values that are not finite, the "
                f"first in channel {self.config.channels[channel]!r} at "
                f"{(first + sample) / info.sampling_rate_hz:.3f} s; mend the file or leave the "
                "recording out with --config.data.on_invalid=skip."
            )


def spread_windows(
    reader: WindowReader, recordings: Sequence[int], max_per_subject: int, margin: int = 0
) -> list[tuple[int, int]]:
    """Choose windows end to end, at most so many of each subject, spread evenly.

    Args:
        reader: of the source.
        recordings: indices in it; those too short for one window are left out.
        max_per_subject: windows of a subject.
        margin: samples left free at both ends of a recording.

    Returns:
        (recording, start) of each window, in order.
    """
    length = reader.config.num_samples
    places: dict[str, list[tuple[int, int]]] = {}
    for recording in recordings:
        starts = range(margin, reader.num_starts(recording) - margin, length)
        subject = reader.source.recordings[recording].subject_id
        places.setdefault(subject, []).extend((recording, start) for start in starts)
    chosen = []
    for windows in places.values():
        count = min(max_per_subject, len(windows))
        ids = np.linspace(0, len(windows) - 1, count).astype(int)
        chosen += [windows[i] for i in ids]
    return chosen
