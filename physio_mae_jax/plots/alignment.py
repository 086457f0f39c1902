"""Plots of the lag of a pulse after its ECG: over time, and on the waveforms."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physio_mae_jax.signals.pulse_alignment import PulseAlignment

_PULSE, _ECG, _LINK = "C2", "0.15", "C3"


def draw_alignment(
    found: PulseAlignment,
    ppg: np.ndarray,
    ecg: np.ndarray,
    sampling_rate_hz: float,
    *,
    start_seconds: float = 0.0,
    seconds: float = 10.0,
) -> Figure:
    """Draw lags and their confidence over time, and the matched beats on the waveforms.

    Args:
        found: Result of ``Encoder.align``.
        ppg, ecg: [n] signals that it was given.
        sampling_rate_hz: Their rate in Hz.
        start_seconds, seconds: Start and length of the waveforms that are drawn.
    """
    figure = Figure(figsize=(11, 6), layout="constrained")
    waves, lags = figure.subplots(2, 1, height_ratios=[3, 2])
    shown = slice(
        round(start_seconds * sampling_rate_hz),
        round((start_seconds + seconds) * sampling_rate_hz),
    )
    times = np.arange(len(ecg))[shown] / sampling_rate_hz
    waves.plot(times, _scaled(ecg[shown]) + 1.2, color=_ECG, linewidth=0.9, label="ECG")
    waves.plot(times, _scaled(ppg[shown]), color=_PULSE, linewidth=1.2, label="pulse")
    _draw_beats(waves, found, start_seconds, start_seconds + seconds)
    waves.set_xlim(start_seconds, start_seconds + seconds)
    waves.set_yticks([])
    waves.set_xlabel("time (s)")
    waves.legend(loc="upper right")
    points = lags.scatter(
        found.times_seconds, 1e3 * found.lag_seconds, c=found.confidence, vmin=0, vmax=1, s=24
    )
    lags.axvspan(start_seconds, start_seconds + seconds, color="0.92", zorder=0)
    lags.set_xlabel("time (s)")
    lags.set_ylabel("lag of the pulse (ms)")
    lags.set_title(f"method={found.method!r}, windows of {found.window_seconds:g} s", fontsize=10)
    figure.colorbar(points, ax=lags, label="confidence")
    return figure


def _scaled(values: np.ndarray) -> np.ndarray:
    """Scale the finite values of a waveform to 0 to 1."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    return np.asarray((values - low) / max(high - low, 1e-12))


def _draw_beats(axes: Axes, found: PulseAlignment, start: float, stop: float) -> None:
    """Connect the R peak of each matched beat to the steepest rise of its pulse."""
    inside = (found.r_peak_seconds >= start) & (found.rise_seconds <= stop)
    for peak, rise in zip(found.r_peak_seconds[inside], found.rise_seconds[inside], strict=True):
        axes.plot([peak, rise], [1.2, 0.5], color=_LINK, linewidth=0.8, alpha=0.7)
