"""Lag of a pulse wave after its ECG over time: pulse arrival times.

The arrival time of a beat is the time from its R peak to the steepest rise of its pulse. It holds
the pre-ejection period and the transit of the pulse, and falls as blood pressure rises.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from physio_mae_jax.signals.beat_times import pulse_rise_times, r_peak_times

ARRIVAL_SECONDS = (0.08, 0.70)  # physiological pulse arrival times
_TOLERANCE_SECONDS = 0.08  # between an arrival time and that of its window
_GRID_SECONDS = 0.005
_KERNEL_SECONDS = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True)
class PulseAlignment:
    """Lag of a pulse after its ECG in each of n windows of a recording.

    Attributes:
        method: 'model' or 'peaks'.
        window_seconds: Length of a window.
        times_seconds: [n] middle of each window, from the start of the recording.
        lag_seconds: [n] lag of the pulse after the ECG; NaN where it is unknown.
        confidence: [n] 0 to 1. Of 'peaks', the share of beats whose pulse is at that lag; of
            'model', the cosine of the time steps of both channels at that lag.
        beats_matched: [n] number of beats with an R peak and a pulse at that lag.
        r_peak_seconds, rise_seconds: [b] R peaks and steepest rises of the matched beats of the
            whole recording, each beat once.
    """

    method: str
    window_seconds: float
    times_seconds: np.ndarray
    lag_seconds: np.ndarray
    confidence: np.ndarray
    beats_matched: np.ndarray
    r_peak_seconds: np.ndarray
    rise_seconds: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatTimes:
    """Beats of a recording: R peaks [a] and steepest rises of the pulse [b], in seconds."""

    r_peak_seconds: np.ndarray
    rise_seconds: np.ndarray

    @classmethod
    def of(cls, ppg: np.ndarray, ecg: np.ndarray, sampling_rate_hz: float) -> "BeatTimes":
        """Find the beats of a pulse [n] and an ECG [n], beside samples that are not finite."""
        return cls(
            r_peak_seconds=_in_finite_runs(r_peak_times, ecg, sampling_rate_hz),
            rise_seconds=_in_finite_runs(pulse_rise_times, ppg, sampling_rate_hz),
        )

    def between(self, start_seconds: float, stop_seconds: float) -> "BeatTimes":
        """Return the R peaks of an interval, and the rises that may follow them."""
        peaks, rises = self.r_peak_seconds, self.rise_seconds
        late = stop_seconds + ARRIVAL_SECONDS[1]
        return BeatTimes(
            r_peak_seconds=peaks[(peaks >= start_seconds) & (peaks < stop_seconds)],
            rise_seconds=rises[(rises >= start_seconds) & (rises < late)],
        )

    def likely_lag(self) -> float:
        """Return the lag in seconds that most beats share; NaN if no pulse follows an R peak."""
        lags = self.rise_seconds[None, :] - self.r_peak_seconds[:, None]
        lags = lags[(lags >= ARRIVAL_SECONDS[0]) & (lags <= ARRIVAL_SECONDS[1])]
        if not lags.size:
            return float("nan")
        grid = np.arange(*ARRIVAL_SECONDS, _GRID_SECONDS)
        density = np.exp(-0.5 * ((grid[:, None] - lags) / _KERNEL_SECONDS) ** 2).sum(axis=1)
        return float(grid[density.argmax()])

    def matched(self, lag_seconds: float) -> "BeatTimes":
        """Return the R peaks with a rise near that lag, and these rises, one to one: [b] each."""
        if not (self.r_peak_seconds.size and self.rise_seconds.size):
            return BeatTimes(r_peak_seconds=np.zeros(0), rise_seconds=np.zeros(0))
        distance = np.abs(self.rise_seconds[None, :] - (self.r_peak_seconds[:, None] + lag_seconds))
        nearest = distance.argmin(axis=1)
        rows = np.arange(len(nearest))
        # A pulse belongs to the nearer of two R peaks.
        is_own = distance[:, nearest].argmin(axis=0) == rows
        chosen = is_own & (distance[rows, nearest] <= _TOLERANCE_SECONDS)
        return BeatTimes(
            r_peak_seconds=self.r_peak_seconds[chosen],
            rise_seconds=self.rise_seconds[nearest[chosen]],
        )


def align_by_peaks(
    ppg: np.ndarray,
    ecg: np.ndarray,
    sampling_rate_hz: float,
    *,
    window_seconds: float = 10.0,
    step_seconds: float = 5.0,
) -> PulseAlignment:
    """Measure the lag of a pulse after its ECG from beat times, without a model.

    Args:
        ppg: [n] pulse, higher with more blood; samples that are not finite are excluded.
        ecg: [n] ECG lead of either polarity.
        sampling_rate_hz: Rate of both in Hz.
        window_seconds, step_seconds: Length of the windows, and time between their starts.
    """
    beats = BeatTimes.of(ppg, ecg, sampling_rate_hz)
    starts = window_starts(len(ecg) / sampling_rate_hz, window_seconds, step_seconds)
    lags, confidence = np.full((2, len(starts)), np.nan)
    for i, start in enumerate(starts):
        inside = beats.between(start, start + window_seconds)
        pairs = inside.matched(inside.likely_lag())
        if pairs.r_peak_seconds.size:
            lags[i] = np.median(pairs.rise_seconds - pairs.r_peak_seconds)
        confidence[i] = pairs.r_peak_seconds.size / max(1, inside.r_peak_seconds.size)
    return complete_alignment("peaks", beats, starts, window_seconds, lags, confidence)


def complete_alignment(
    method: str,
    beats: BeatTimes,
    starts_seconds: np.ndarray,
    window_seconds: float,
    lag_seconds: np.ndarray,
    confidence: np.ndarray,
) -> PulseAlignment:
    """Add the matched beats to the lags [n] of windows that start at [n]."""
    pairs = [
        beats.between(start, start + window_seconds).matched(lag)
        for start, lag in zip(starts_seconds, lag_seconds, strict=True)
    ]
    peaks = np.concatenate([np.zeros(0), *(one.r_peak_seconds for one in pairs)])
    rises = np.concatenate([np.zeros(0), *(one.rise_seconds for one in pairs)])
    peaks, first = np.unique(peaks, return_index=True)  # windows may overlap
    return PulseAlignment(
        method=method,
        window_seconds=window_seconds,
        times_seconds=starts_seconds + window_seconds / 2,
        lag_seconds=lag_seconds,
        confidence=confidence,
        beats_matched=np.array([one.r_peak_seconds.size for one in pairs], np.int64),
        r_peak_seconds=peaks,
        rise_seconds=rises[first],
    )


def window_starts(seconds: float, window_seconds: float, step_seconds: float) -> np.ndarray:
    """Return the starts of the whole windows of a recording, in seconds."""
    count = int(np.floor((seconds - window_seconds) / step_seconds + 1e-9)) + 1
    return np.arange(max(0, count)) * step_seconds


def _in_finite_runs(
    find: Callable[[np.ndarray, float], np.ndarray], signal: np.ndarray, sampling_rate_hz: float
) -> np.ndarray:
    """Find beats in every run of finite samples: [b] seconds from the first sample."""
    finite = np.concatenate([[False], np.isfinite(signal), [False]])
    edges = np.flatnonzero(np.diff(finite.astype(np.int8)))
    found = [
        find(signal[start:stop], sampling_rate_hz) + start / sampling_rate_hz
        for start, stop in edges.reshape(-1, 2)
    ]
    return np.concatenate([np.zeros(0), *found])
