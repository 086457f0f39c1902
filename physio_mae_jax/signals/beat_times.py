"""Times of heart beats without a model: R peaks of an ECG, steepest rises of a pulse wave.

Both are found in one recording or window of at least two seconds. The steepest rise of a pulse is
sharper than its foot or its peak, and the part of it that most agrees between sensors; the time
from an R peak to it is the pulse arrival time to that point.
"""

import numpy as np
from scipy import signal as scipy_signal

from physio_mae_jax.signals.peak_interpolation import peak_shift

# Most of a QRS complex, and little of T waves (Pan & Tompkins 1985, IEEE TBME 32:230).
_QRS_BAND_HZ = (5.0, 20.0)
_QRS_SECONDS = 0.10
_PULSE_BAND_HZ = (0.5, 8.0)
_REFRACTORY_SECONDS = 0.30  # 200 beats per minute
_THRESHOLD_SHARE = 0.35  # of the height of a typical beat
_MIN_SECONDS = 2.0


def r_peak_times(ecg: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Find the R peaks of an ECG lead of either polarity.

    Args:
        ecg: [n] samples in any unit, finite.
        sampling_rate_hz: Rate in Hz, at least 25.

    Returns:
        [b] times in seconds from the first sample, increasing; none if the lead is constant or
        shorter than two seconds.
    """
    if not _has_beats(ecg, sampling_rate_hz):
        return np.zeros(0)
    filtered = _band_pass(ecg, _QRS_BAND_HZ, sampling_rate_hz)
    width = max(1, round(_QRS_SECONDS * sampling_rate_hz))
    energy = np.convolve(filtered**2, np.ones(width) / width, mode="same")
    beats = _peaks(np.sqrt(energy), sampling_rate_hz)
    reach = np.arange(-width, width + 1)
    near = np.clip(beats[:, None] + reach, 0, len(ecg) - 1)
    # The deflection of this lead that is larger in most beats, so that all beats agree.
    upward, downward = filtered[near].max(axis=1), -filtered[near].min(axis=1)
    sign = 1.0 if np.median(upward) >= np.median(downward) else -1.0
    found = near[np.arange(len(beats)), (sign * filtered)[near].argmax(axis=1)]
    return _refine(sign * filtered, np.unique(found), sampling_rate_hz)


def pulse_rise_times(ppg: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Find the steepest rise of every pulse of a PPG or of an arterial pressure.

    Args:
        ppg: [n] samples in any unit, finite, higher with more blood.
        sampling_rate_hz: Rate in Hz, at least 25.

    Returns:
        [b] times in seconds from the first sample, increasing; none if the signal is constant or
        shorter than two seconds.
    """
    if not _has_beats(ppg, sampling_rate_hz):
        return np.zeros(0)
    slope = np.gradient(_band_pass(ppg, _PULSE_BAND_HZ, sampling_rate_hz))
    return _refine(slope, _peaks(slope, sampling_rate_hz), sampling_rate_hz)


def beat_train(
    times_seconds: np.ndarray, num_steps: int, step_seconds: float, width_seconds: float = 0.01
) -> np.ndarray:
    """Draw beats as Gaussian pulses of equal height, minus the mean, of unit norm.

    Args:
        times_seconds: [b] times of beats.
        num_steps: Length T of the train.
        step_seconds: Time between two of its samples.
        width_seconds: Standard deviation of a pulse.

    Returns:
        [T] float32; zeros without beats.
    """
    grid = np.arange(num_steps) * step_seconds
    distance = (grid[:, None] - np.asarray(times_seconds)[None, :]) / width_seconds
    train = np.exp(-0.5 * distance**2).sum(axis=1)
    train -= train.mean()
    norm = np.linalg.norm(train)
    return (train / norm if norm > 0 else train).astype(np.float32)


def _has_beats(values: np.ndarray, sampling_rate_hz: float) -> bool:
    return len(values) >= _MIN_SECONDS * sampling_rate_hz and bool(np.ptp(values) > 0)


def _band_pass(
    values: np.ndarray, band_hz: tuple[float, float], sampling_rate_hz: float
) -> np.ndarray:
    high = min(band_hz[1], 0.45 * sampling_rate_hz)
    sections = scipy_signal.butter(
        2, (band_hz[0], high), "bandpass", fs=sampling_rate_hz, output="sos"
    )
    values = np.asarray(values, np.float64)
    return np.asarray(scipy_signal.sosfiltfilt(sections, values - values.mean()))


def _peaks(height: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Return the samples of the peaks that are as high as those of a typical beat."""
    distance = max(1, round(_REFRACTORY_SECONDS * sampling_rate_hz))
    # The highest sample of each two seconds holds at least one beat above 30 per minute.
    length = int(_MIN_SECONDS * sampling_rate_hz)
    whole = height[: len(height) // length * length].reshape(-1, length)
    threshold = _THRESHOLD_SHARE * np.median(whole.max(axis=1))
    return np.asarray(scipy_signal.find_peaks(height, height=threshold, distance=distance)[0])


def _refine(height: np.ndarray, peaks: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Return the times of peaks between samples, by a parabola through three of them."""
    inner = np.clip(peaks, 1, len(height) - 2)
    return (inner + peak_shift(*(height[inner + i] for i in (-1, 0, 1)))) / sampling_rate_hz
