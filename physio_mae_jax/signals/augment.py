"""Training augmentations that add realistic disturbances to windows.

Signals are never inverted and channels never swapped, since leads have a name and a polarity
(models.md#input-windows). Amplitudes are in standard deviations of the channel.
"""

import dataclasses
import functools

import numpy as np

from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.signals.preprocess import z_score

# 16 MiB of float32; at least eight windows long.
_MIN_NOISE_SAMPLES = 2**22
_WINDOWS_OF_NOISE = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Strength of each augmentation, drawn independently for every window; 0 disables it.

    Attributes:
        noise: Maximum standard deviation of white noise.
        baseline_wander: Maximum amplitude of baseline wander, a sine of 0.05 to 0.5 Hz in each
            channel.
        powerline: Maximum amplitude of powerline interference at 50 or 60 Hz (if below Nyquist).
        channel_dropout: Probability of dropping a channel; at least one present channel is kept.
        time_mask: Maximum fraction of the window set to zero, as one interval across all channels.
    """

    noise: float = 0.0
    baseline_wander: float = 0.0
    powerline: float = 0.0
    channel_dropout: float = 0.0
    time_mask: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "data.augment")

    @property
    def is_off(self) -> bool:
        """True if every augmentation is disabled."""
        return not any(getattr(self, field.name) for field in dataclasses.fields(self))


def augment(
    signal: np.ndarray,
    present: np.ndarray,
    sampling_rate_hz: float,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Augment a window.

    Args:
        signal: [M, L] float32, z-scored.
        present: [M] bool, True for channels that contain a signal.
        sampling_rate_hz: Sampling rate in Hz.
        config: Strength of each augmentation.
        rng: Generator of all random draws; the result is deterministic in its state.

    Returns:
        The augmented window [M, L], z-scored again, and the channels still present [M] bool.
    """
    channels, samples = signal.shape
    time = np.arange(samples) / sampling_rate_hz
    # float32 suffices for normalized samples, and this runs for every window.
    augmented = signal.astype(np.float32)
    if config.noise:
        strength = rng.uniform(0, config.noise, (channels, 1)).astype(np.float32)
        augmented += strength * _white_noise(rng, channels, samples)
    if config.baseline_wander:
        augmented += _waves(rng, channels, time, (0.05, 0.5), config.baseline_wander)
    if config.powerline:
        line_hz = (50.0, 60.0)[int(rng.integers(2))]
        # An anti-aliasing filter would have removed interference above half the sampling rate.
        if line_hz < sampling_rate_hz / 2:
            augmented += _waves(rng, channels, time, (line_hz, line_hz), config.powerline)
    if config.time_mask:
        length = int(samples * rng.uniform(0, config.time_mask))
        start = int(rng.integers(samples - length + 1))
        augmented[:, start : start + length] = 0.0
    if config.channel_dropout:
        present = _drop_channels(
            present, np.less(rng.uniform(size=channels), config.channel_dropout), rng
        )
    normalized, varies = z_score(augmented)
    present = present & varies
    normalized[~present] = 0.0
    return normalized, present


def _white_noise(rng: np.random.Generator, channels: int, samples: int) -> np.ndarray:
    """Draw normal noise of standard deviation 1, [M, L] float32 and read-only.

    A random segment of one long precomputed noise: drawing every sample would take as long as all
    other processing of a window.
    """
    size = channels * samples
    noise = _long_noise(max(_MIN_NOISE_SAMPLES, _WINDOWS_OF_NOISE * size))
    start = int(rng.integers(len(noise) - size + 1))
    return noise[start : start + size].reshape(channels, samples)


@functools.lru_cache(maxsize=2)
def _long_noise(size: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    noise.setflags(write=False)
    return noise


def _waves(
    rng: np.random.Generator,
    channels: int,
    time: np.ndarray,
    band_hz: tuple[float, float],
    amplitude: float,
) -> np.ndarray:
    """Draw a sine for each channel, [M, L] float32."""
    frequency = rng.uniform(*band_hz, (channels, 1))
    phase = rng.uniform(0, 2 * np.pi, (channels, 1))
    strength = rng.uniform(0, amplitude, (channels, 1)).astype(np.float32)
    # The angle grows with time and needs float64; the float32 sine is ten times faster.
    angle = (2 * np.pi * frequency * time + phase).astype(np.float32)
    return strength * np.sin(angle)


def _drop_channels(present: np.ndarray, drop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drop channels, keeping at least one."""
    remaining = present & ~drop
    if present.any() and not remaining.any():
        remaining = np.zeros_like(present)
        remaining[rng.choice(np.flatnonzero(present))] = True
    return remaining
