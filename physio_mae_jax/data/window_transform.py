"""From raw samples of a recording to one model-ready window: pure functions of arrays.

``plan_window`` says which raw samples a window needs, with the context of its filters, and
``make_window`` turns them into the model's input. Training, evaluation and the encoding of new
signals make every window here; whoever holds the samples (a file, an array, a ring buffer) passes
``raw[:, spec.first : spec.last]``.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from physio_mae_jax.data.channel_plan import ChannelPlan
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.float32_range import in_range, scale_to_float32
from physio_mae_jax.signals.preprocess import BandPass, Resampler, resample, z_score

Example = dict[str, Any]  # NumPy arrays and scalars, see make_window
NORMALIZATION = "z-score of each channel over the window, clipped to 10 standard deviations"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """Model input: channels, rate and length of a window.

    Attributes:
        channels: Preset, list of names or '', see ``data.channel_plan.ChannelPlanner``.
        num_channels: Number of channels M; windows with fewer are padded with absent channels.
        units: Canonical channel name -> unit that the channel is converted to.
        sampling_rate_hz: Sampling rate in Hz that every recording is resampled to.
        num_samples: Window length L in samples at that rate.
        band_hz: (low, high) in Hz of the band-pass before normalization; None for no filter.

    Raises:
        ConfigError: The band-pass does not fit the sampling rate.
    """

    channels: str
    num_channels: int
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sampling_rate_hz: float
    num_samples: int
    band_hz: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.band_hz:
            BandPass(*self.band_hz, self.sampling_rate_hz)  # rejects an impossible one

    @property
    def seconds(self) -> float:
        """Duration of a window in seconds."""
        return self.num_samples / self.sampling_rate_hz

    @property
    def band(self) -> BandPass | None:
        """The band-pass at the model's rate; None for no filter."""
        return BandPass(*self.band_hz, self.sampling_rate_hz) if self.band_hz else None

    def change(self, info: RecordingInfo, tempo: float = 1.0) -> Resampler:
        """Return the change of rate from a recording, played at a tempo, to the model."""
        return Resampler.between(round(info.sampling_rate_hz * tempo, 4), self.sampling_rate_hz)


class WindowSpec(NamedTuple):
    """One window of a recording: the raw samples that it needs, and what becomes of them.

    Attributes:
        info: Description of the recording.
        plan: Channels of the window, and how they follow from the recording's rows.
        change: Change of the sampling rate.
        band: Band-pass at the model's rate; None for no filter.
        num_channels, num_samples: Channels M and samples L of the window.
        first, last: Raw samples [first, last) that it needs.
        begin: First sample of the filter's context among the resampled ones.
        before, after: Samples of context around the window, at the model's rate.
    """

    info: RecordingInfo
    plan: ChannelPlan
    change: Resampler
    band: BandPass | None
    num_channels: int
    num_samples: int
    first: int
    last: int
    begin: int
    before: int
    after: int

    @property
    def copied_rows(self) -> slice | np.ndarray | None:
        """Rows [m] of the recording that are the window's channels, if nothing else is done."""
        if self.band or self.change.up != self.change.down:
            return None
        return self.plan.montage.selection

    @property
    def resampled(self) -> slice:
        """The window and the context of its filter, among the resampled samples."""
        return slice(self.begin, self.begin + self.before + self.num_samples + self.after)


def plan_window(
    info: RecordingInfo, plan: ChannelPlan, config: WindowConfig, start: int, tempo: float = 1.0
) -> WindowSpec:
    """Plan one window of a recording.

    Args:
        info: Description of the recording; of a stream, with the samples received so far.
        plan: Channels of its windows, see ``data.channel_plan.ChannelPlanner``.
        config: Model input.
        start: First sample of the window at the model's rate and the tempo.
        tempo: Playback speed factor, the same for all channels.
    """
    return plan_resampled(info, plan, config.change(info, tempo), config, start)


def plan_resampled(
    info: RecordingInfo, plan: ChannelPlan, change: Resampler, config: WindowConfig, start: int
) -> WindowSpec:
    """Plan one window whose change of rate is known, as ``plan_window`` does."""
    band, length = config.band, config.num_samples
    before, after = _context(info, change, start, length, band)
    first, last, begin = change.source_span(
        start - before, before + length + after, info.num_samples
    )
    return WindowSpec(
        info, plan, change, band, config.num_channels, length, first, last, begin, before, after
    )


def _context(
    info: RecordingInfo, change: Resampler, start: int, length: int, band: BandPass | None
) -> tuple[int, int]:
    """Return the samples around a window that a filter may use, at the model's rate."""
    if band is None:
        return 0, 0
    margin, total = band.margin_samples, change.length_after(info.num_samples)
    before, after = min(margin, start), max(0, min(margin, total - start - length))
    first, last, _ = change.source_span(start - before, before + length + after, info.num_samples)
    if any(begin < last and end > first for _, begin, end in info.gaps):
        return 0, 0  # rare, and simpler than stopping exactly at the gap
    return before, after


def make_window(raw: np.ndarray, spec: WindowSpec) -> Example:
    """Derive, resample, filter and normalize the channels of one window.

    Args:
        raw: Samples [m, last - first] of the recording, float32 or float64.
        spec: Plan of the window.

    Returns:
        'signal' [M, L] float32 z-scored and clipped to ±10; 'channel_mask' [M] bool, False where
        the recording lacks the channel or it is flat in this window; 'channel_ids' [M] int32.

    Raises:
        DataError: A value is not finite.
    """
    signal, varies = z_score(derive_window(raw, spec))
    return {
        "signal": _padded(signal, spec.num_channels),
        "channel_mask": _padded(varies, spec.num_channels),
        "channel_ids": _padded(spec.plan.ids, spec.num_channels),
    }


def derive_window(raw: np.ndarray, spec: WindowSpec) -> np.ndarray:
    """Derive, resample and filter the channels of one window, without normalization.

    Args:
        raw, spec: As in ``make_window``.

    Returns:
        [m, L] float32, up to an offset and a scale of each channel.

    Raises:
        DataError: A value is not finite.
    """
    made = derive_rows(raw, spec)
    resampled = resample(made, spec.change, spec.first)[:, spec.resampled]
    if spec.band:
        kept = slice(spec.before, spec.before + spec.num_samples)
        resampled = spec.band.apply(resampled)[:, kept]
    return resampled


def derive_rows(raw: np.ndarray, spec: WindowSpec) -> np.ndarray:
    """Derive the channels of one window, at the rate of the recording: [m, last - first] float32.

    Raises:
        DataError: A value is not finite.
    """
    made = spec.plan.montage.apply(raw if in_range(raw) else raw.astype(np.float64))
    _check_finite(made, spec)
    return scale_to_float32(made, raw.dtype)


def _padded(values: np.ndarray, num_channels: int) -> np.ndarray:
    """Fill [m, …] up to [M, …] with zeros: False, the unknown channel, or a flat signal."""
    missing = num_channels - len(values)
    return np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)]) if missing else values


def _check_finite(made: np.ndarray, spec: WindowSpec) -> None:
    finite = np.isfinite(made)
    if not finite.all():
        bad = ~finite
        channel, sample = np.argwhere(bad)[0]
        seconds = (spec.first + sample) / spec.info.sampling_rate_hz
        raise DataError(
            f"recording {spec.info.record_id!r} has {bad.sum()} values that are not finite, the "
            f"first in channel {spec.plan.channels[channel]!r} at {seconds:.3f} s; fix the file or "
            "exclude the recording with --config.data.on_invalid=skip."
        )
