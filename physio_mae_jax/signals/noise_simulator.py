"""EEG and sensor noise simulators, as seeded random processes."""

import functools

import numpy as np
from scipy import signal as scipy_signal


def colored_noise(
    rng: np.random.Generator, num_samples: int, sampling_rate_hz: float, exponent: float
) -> np.ndarray:
    """Draw noise with a power spectrum of 1 / f ** exponent above 0.5 Hz, flat below.

    Returns:
        float64 [L] of mean 0 and standard deviation 1.
    """
    spectrum = np.fft.rfft(rng.normal(size=num_samples))
    frequency = np.maximum(np.fft.rfftfreq(num_samples, 1 / sampling_rate_hz), 0.5)
    noise = np.fft.irfft(spectrum * frequency ** (-exponent / 2), num_samples)
    return (noise - noise.mean()) / noise.std()


def band_noise(
    rng: np.random.Generator,
    num_samples: int,
    sampling_rate_hz: float,
    band_hz: tuple[float, float],
) -> np.ndarray:
    """Draw band noise: float64 [L] of standard deviation 1, or zeros if the rate is too low."""
    high = min(band_hz[1], 0.49 * sampling_rate_hz)
    if high <= band_hz[0]:
        return np.zeros(num_samples)
    noise = scipy_signal.sosfilt(
        _band_pass(band_hz[0], high, sampling_rate_hz), rng.normal(size=num_samples)
    )
    return noise / noise.std()


@functools.lru_cache(maxsize=64)
def _band_pass(low_hz: float, high_hz: float, sampling_rate_hz: float) -> np.ndarray:
    """Design a filter; cached, since designing is more expensive than filtering."""
    return scipy_signal.butter(2, (low_hz, high_hz), "bandpass", fs=sampling_rate_hz, output="sos")


def slow_envelope(
    rng: np.random.Generator, num_samples: int, sampling_rate_hz: float, period_seconds: float
) -> np.ndarray:
    """Draw a smooth envelope in [0, 1] that varies over about ``period_seconds``."""
    knots = max(4, int(num_samples / sampling_rate_hz / period_seconds * 2) + 4)
    heights = rng.uniform(0, 1, knots) ** 2
    return np.interp(np.linspace(0, knots - 1, num_samples), np.arange(knots), heights)


def eeg(rng: np.random.Generator, num_samples: int, sampling_rate_hz: float) -> np.ndarray:
    """Draw one EEG channel in microvolts: a 1/f background, alpha spindles, some theta and beta.

    Alpha (8-12 Hz) waxes and wanes over seconds, as in occipital EEG at rest with closed eyes
    (Niedermeyer's Electroencephalography, ch. 9).

    Returns:
        float64 [L].
    """
    envelope = slow_envelope(rng, num_samples, sampling_rate_hz, 4.0)
    alpha = band_noise(rng, num_samples, sampling_rate_hz, (8.0, 12.0))
    theta = band_noise(rng, num_samples, sampling_rate_hz, (4.0, 7.0))
    beta = band_noise(rng, num_samples, sampling_rate_hz, (14.0, 28.0))
    background = colored_noise(rng, num_samples, sampling_rate_hz, 1.5)
    return 8.0 * background + 28.0 * envelope * alpha + 3.0 * theta + 2.0 * beta


def electrode_noise(
    rng: np.random.Generator, num_leads: int, num_samples: int, sampling_rate_hz: float
) -> np.ndarray:
    """Draw baseline wander, muscle noise and powerline interference of ECG electrodes in mV.

    Returns:
        float64 [num_leads, L], independent for each lead, with typical clinical amplitude.
    """
    time = np.arange(num_samples) / sampling_rate_hz
    noise = np.zeros((num_leads, num_samples))
    for lead in noise:
        lead += 0.05 * band_noise(rng, num_samples, sampling_rate_hz, (0.05, 0.5))
        lead += 0.012 * band_noise(rng, num_samples, sampling_rate_hz, (15.0, 120.0))
        if sampling_rate_hz > 110:
            lead += 0.008 * np.sin(2 * np.pi * 50 * time + rng.uniform(0, 2 * np.pi))
    return noise


def motion_bursts(
    rng: np.random.Generator, num_samples: int, sampling_rate_hz: float, bursts_per_minute: float
) -> np.ndarray:
    """Draw short bursts of movement (0.5-5 Hz, 1-3 s each): float64 [L], about 1 at their peak."""
    time = np.arange(num_samples) / sampling_rate_hz
    seconds = num_samples / sampling_rate_hz
    movement = band_noise(rng, num_samples, sampling_rate_hz, (0.5, 5.0))
    gate = np.zeros(num_samples)
    for _ in range(rng.poisson(bursts_per_minute * seconds / 60)):
        center, width = rng.uniform(0, seconds), rng.uniform(0.5, 1.5)
        gate = np.maximum(gate, np.exp(-0.5 * ((time - center) / (width / 2)) ** 2))
    return gate * movement
