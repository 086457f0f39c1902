"""One model-ready window out of one recording."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from physio_mae_jax.data.channel_plan import ChannelPlan, ChannelPlanner
from physio_mae_jax.data.source import RecordingInfo, SignalSource
from physio_mae_jax.data.window_starts import WindowStarts, window_starts
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.levels import in_range, level_rows
from physio_mae_jax.signals.preprocess import BandPass, Resampler, resample, z_score

Example = dict[str, Any]  # NumPy arrays and scalars, see WindowReader.read
NORMALISATION = "z-score of each channel over the window, clipped to 10 standard deviations"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """Model input: channels, rate and length of a window.

    Attributes:
        channels: Preset, list of names or '', see ``data.channel_plan.ChannelPlanner``.
        num_channels: Number of channels M; windows with fewer are padded with absent channels.
        units: Canonical channel name -> unit that the channel is converted to.
        sampling_rate_hz: Sampling rate in Hz that every recording is resampled to.
        num_samples: Window length L in samples at that rate.
        band_hz: (low, high) in Hz of the band-pass before normalisation; None for no filter.
    """

    channels: str
    num_channels: int
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sampling_rate_hz: float
    num_samples: int
    band_hz: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Duration of a window in seconds."""
        return self.num_samples / self.sampling_rate_hz


class WindowReader:
    """Reads model-ready windows of any recording of a source."""

    def __init__(
        self, source: SignalSource, config: WindowConfig, planner: ChannelPlanner | None = None
    ) -> None:
        """Create a reader; ``planner`` defaults to one made from ``config``."""
        self.source = source
        self.config = config
        self._planner = planner or ChannelPlanner(config.channels, config.units)
        self._band = BandPass(*config.band_hz, config.sampling_rate_hz) if config.band_hz else None
        keys = [info.subject_key for info in source.recordings]
        self._subjects = np.unique(keys, return_inverse=True)[1].astype(np.int32)

    def plan(self, recording: int) -> ChannelPlan:
        """Return the channels of the windows of a recording, without padding."""
        return self._planner.plan(self.source.recordings[recording])

    def starts(self, recording: int, tempo: float = 1.0) -> WindowStarts:
        """Return all window starts, in samples at the model's rate and the given tempo.

        Raises:
            DataError: the recording, or every segment between its gaps, is shorter than a window.
        """
        info = self.source.recordings[recording]
        gaps = self._gaps(recording, info) if info.gaps else ()
        change = self._change(info, tempo)
        starts = _starts(info.num_samples, gaps, change, self.config.num_samples)
        if not len(starts):
            between = " between its gaps" if gaps else ""
            raise DataError(
                f"recording {info.record_id!r} lasts {info.seconds:.2f} s{between}, less than the "
                f"window of {self.config.seconds * tempo:.2f} s; shorten --config.window_seconds "
                "or exclude it with --config.data.on_invalid=skip."
            )
        return starts

    def _gaps(self, recording: int, info: RecordingInfo) -> tuple[tuple[int, int], ...]:
        """Return the gaps of the channels that the windows are made of."""
        needed = self.plan(recording).montage.sources
        return tuple((start, stop) for row, start, stop in info.gaps if row in needed)

    def _change(self, info: RecordingInfo, tempo: float) -> Resampler:
        source_hz = round(info.sampling_rate_hz * tempo, 4)
        return Resampler.between(source_hz, self.config.sampling_rate_hz)

    def read(self, recording: int, start: int, tempo: float = 1.0) -> Example:
        """Read, resample, filter and normalise one window.

        Args:
            recording: Recording index in the source.
            start: First sample at the model's rate and the tempo, one of ``starts``.
            tempo: Playback speed factor, the same for all channels.

        Returns:
            'signal' [M, L] float32 z-scored and clipped to ±10; 'channel_mask' [M] bool, False
            where the recording lacks the channel or it is flat in this window; 'channel_ids' [M]
            int32; 'subject' int32, the same number for all windows of a subject; 'recording' and
            'start' int32, which identify the window in reports.

        Raises:
            DataError: a value in the window is not finite.
        """
        info = self.source.recordings[recording]
        length = self.config.num_samples
        change = self._change(info, tempo)
        margin = self._band.margin_samples if self._band else 0
        before, after = self._context(info, change, start, margin)
        first, last, offset = change.source_span(
            start - before, length + before + after, info.num_samples
        )
        plan = self.plan(recording)
        raw = self.source.read(recording, first, last)
        made = plan.montage.apply(raw if in_range(raw) else raw.astype(np.float64))
        self._check_finite(made, info, first, plan)
        made = level_rows(made, raw.dtype)
        resampled = resample(made, change, first)[:, offset : offset + length + before + after]
        if self._band:
            resampled = self._band.apply(resampled)[:, before : before + length]
        signal, varies = z_score(resampled)
        return {
            "signal": self._padded(signal),
            "channel_mask": self._padded(varies),
            "channel_ids": self._padded(plan.ids),
            "subject": self._subjects[recording],
            "recording": np.int32(recording),
            "start": np.int32(start * tempo),
        }

    def _context(
        self, info: RecordingInfo, change: Resampler, start: int, margin: int
    ) -> tuple[int, int]:
        """Return the samples around a window that a filter may use, at the model's rate."""
        length = self.config.num_samples
        total = change.length_after(info.num_samples)
        before, after = min(margin, start), max(0, min(margin, total - start - length))
        for _, gap_start, gap_stop in info.gaps if margin else ():
            first, last, _ = change.source_span(
                start - before, length + before + after, info.num_samples
            )
            if gap_start < last and gap_stop > first:
                return 0, 0  # rare, and simpler than stopping exactly at the gap
        return before, after

    def _padded(self, values: np.ndarray) -> np.ndarray:
        """Fill [m, …] up to [M, …] with zeros: False, the unknown channel, or a flat signal."""
        missing = self.config.num_channels - len(values)
        return np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)]) if missing else values

    def _check_finite(
        self, raw: np.ndarray, info: RecordingInfo, first: int, plan: ChannelPlan
    ) -> None:
        finite = np.isfinite(raw)
        if not finite.all():
            bad = ~finite
            channel, sample = np.argwhere(bad)[0]
            raise DataError(
                f"recording {info.record_id!r} has {bad.sum()} values that are not finite, the "
                f"first in channel {plan.channels[channel]!r} at "
                f"{(first + sample) / info.sampling_rate_hz:.3f} s; fix the file or exclude "
                "the recording with --config.data.on_invalid=skip."
            )


@functools.lru_cache(maxsize=65_536)
def _starts(
    num_samples: int, gaps: tuple[tuple[int, int], ...], change: Resampler, length: int
) -> WindowStarts:
    return window_starts(num_samples, gaps, change, length)


def spread_windows(
    reader: WindowReader, recordings: Sequence[int], max_per_subject: int
) -> list[tuple[int, int]]:
    """Choose contiguous windows, evenly spread, at most ``max_per_subject`` per subject.

    Args:
        reader: Window reader of the source.
        recordings: Recording indices in the source.
        max_per_subject: Maximum number of windows of a subject.

    Returns:
        (recording, start) of each window, in order.
    """
    windows_of: dict[str, list[tuple[int, int]]] = {}
    for recording in recordings:
        starts = reader.starts(recording).end_to_end(reader.config.num_samples)
        subject = reader.source.recordings[recording].subject_key
        windows_of.setdefault(subject, []).extend((recording, start) for start in starts)
    chosen = []
    for windows in windows_of.values():
        count = min(max_per_subject, len(windows))
        ids = np.linspace(0, len(windows) - 1, count).astype(int)
        chosen += [windows[i] for i in ids]
    return chosen
