"""Banks of Ricker wavelets.

* ``hz``: scales from target frequencies in Hz, log spaced, high to low. Kernels are odd, centered
  and band-limited; edges are reflected. A setting is independent of the sampling rate.
* ``samples``: the linear bank of the original CWT-MAE (models.md#banks), scales 0.1, 1.1, 2.1, …
  samples with zero-padded edges, reproduced exactly for comparison with that code.
"""

import dataclasses
import functools
import math

import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.setting_ranges import check_fields

# |psi| at five scales from its center is 1e-4 of its peak, below the resolution of bfloat16.
_RADIUS_IN_SCALES = 5.0
# The Ricker wavelet of scale s (samples) has its spectral peak at sqrt(2) / s radians per sample.
_PEAK_RADIANS = math.sqrt(2.0)
# Maximum number of values in a bank: 256 MiB.
_MAX_CELLS = 2**25


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveletConfig:
    """Choice of the wavelet bank.

    Attributes:
        bank: 'hz' or 'samples', see the module docstring.
        num_scales: Number of scalogram rows S.
        lowest_frequency_hz: Center frequency of the coarsest wavelet ('hz' bank).
        highest_frequency_hz: Center frequency of the finest wavelet ('hz' bank), at most half
            the sampling rate.
        difference_planes: True gives C = 3 planes (signal, first and second difference),
            False only the signal.
    """

    bank: str = "hz"
    num_scales: int = 64
    lowest_frequency_hz: float = 0.5
    highest_frequency_hz: float = 50.0
    difference_planes: bool = True

    def __post_init__(self) -> None:
        check_fields(self, "model.wavelet")
        if not 0 < self.lowest_frequency_hz < self.highest_frequency_hz:
            raise ConfigError(
                f"wavelet.lowest_frequency_hz ({self.lowest_frequency_hz}) must be above 0 and "
                f"below wavelet.highest_frequency_hz ({self.highest_frequency_hz})."
            )

    @property
    def num_planes(self) -> int:
        """C, wavelet planes per channel."""
        return 3 if self.difference_planes else 1


@dataclasses.dataclass(frozen=True, eq=False)
class WaveletBank:
    """Sampled wavelets.

    Attributes:
        kernels: [S, n] float64, row 0 the finest.
        frequencies_hz: [S] center frequencies, high to low.
        edge: Padding mode of ``jnp.pad`` past the ends of a signal.
    """

    kernels: np.ndarray
    frequencies_hz: np.ndarray
    edge: str

    @property
    def padding(self) -> int:
        """Samples added on each side of a signal: half the kernel, rounded down."""
        return self.kernels.shape[1] // 2


@functools.lru_cache(maxsize=16)
def wavelet_bank(config: WaveletConfig, sampling_rate_hz: float, num_samples: int) -> WaveletBank:
    """Build the bank for signals of ``num_samples`` at ``sampling_rate_hz``.

    Raises:
        ConfigError: A frequency above half the sampling rate, or a wavelet longer than the window.
    """
    if config.bank == "samples":
        return _bank_in_samples(config.num_scales, sampling_rate_hz, num_samples)
    return _bank_in_hz(config, sampling_rate_hz, num_samples)


def _bank_in_hz(config: WaveletConfig, sampling_rate_hz: float, num_samples: int) -> WaveletBank:
    nyquist_hz = sampling_rate_hz / 2
    if config.highest_frequency_hz > nyquist_hz:
        raise ConfigError(
            f"wavelet.highest_frequency_hz is {config.highest_frequency_hz:g}, above half the "
            f"sampling rate of {sampling_rate_hz:g} Hz; set it to {nyquist_hz:g} or less."
        )
    frequencies_hz = np.geomspace(
        config.highest_frequency_hz, config.lowest_frequency_hz, config.num_scales
    )
    scales = _PEAK_RADIANS * sampling_rate_hz / (2 * np.pi * frequencies_hz)
    radius = math.ceil(_RADIUS_IN_SCALES * scales[-1])
    if radius >= num_samples:
        shortest_hz = _RADIUS_IN_SCALES * _PEAK_RADIANS * sampling_rate_hz / (2 * np.pi)
        raise ConfigError(
            f"the wavelet at wavelet.lowest_frequency_hz={config.lowest_frequency_hz:g} reaches "
            f"{radius / sampling_rate_hz:.2f} s to each side, more than the window of "
            f"{num_samples / sampling_rate_hz:.2f} s; set the frequency to "
            f"{shortest_hz / (num_samples - 1) + 0.01:.2f} Hz or more, or lengthen the window."
        )
    _check_size(config.num_scales, 2 * radius + 1)
    kernels = np.stack([_band_limited_ricker(scale, radius) for scale in scales])
    return WaveletBank(kernels, frequencies_hz, edge="reflect")


def _check_size(num_scales: int, length: int) -> None:
    if num_scales * length > _MAX_CELLS:
        raise ConfigError(
            f"model.wavelet.num_scales={num_scales} wavelets of up to {length:,} samples exceed "
            f"the maximum bank size of {_MAX_CELLS:,} values; lower it, raise "
            "model.wavelet.lowest_frequency_hz, or shorten the window."
        )


def _band_limited_ricker(scale: float, radius: int) -> np.ndarray:
    """Sample a Ricker wavelet band-limited to half the sampling rate.

    Plain sampling of a wavelet as narrow as a sample aliases: the finest row would respond to a
    constant. The spectrum A sqrt(2 pi) s (s w)^2 exp(-(s w)^2 / 2) is therefore cut at w = pi and
    transformed back; from scales of about 1.5 samples on the result equals the plain formula.

    Returns:
        [2 radius + 1] kernel, centered, symmetric.
    """
    # Eight times the support keeps the circular images of the kernel's slow tails below 1e-6.
    from scipy import fft as scipy_fft  # takes as long to import as Flax

    length = scipy_fft.next_fast_len(8 * (2 * radius + 1), real=True)
    omega = 2 * np.pi * np.fft.rfftfreq(length)
    amplitude = 2 / (np.sqrt(3 * scale) * np.pi**0.25)
    spectrum = amplitude * np.sqrt(2 * np.pi) * scale * (scale * omega) ** 2
    spectrum *= np.exp(-((scale * omega) ** 2) / 2)
    kernel = np.fft.irfft(spectrum, length)
    return np.concatenate([kernel[-radius:], kernel[: radius + 1]])


def _bank_in_samples(num_scales: int, sampling_rate_hz: float, num_samples: int) -> WaveletBank:
    """Reproduce the original bank (models.md#banks), including its even kernel length."""
    scales = np.arange(num_scales, dtype=np.float32) + np.float32(0.1)
    length = min(float(scales[-1]) * 10, float(num_samples))
    if length % 2 == 0:
        length += 1
    _check_size(num_scales, int(length))
    time = np.arange(int(length)) - (int(length) - 1) / 2
    ratio = (time[None, :] / scales[:, None].astype(np.float64)) ** 2
    amplitude = 2 / (np.sqrt(3 * scales.astype(np.float64)) * np.pi**0.25 + 1e-6)
    kernels = amplitude[:, None] * (1 - ratio) * np.exp(-ratio / 2)
    frequencies_hz = _PEAK_RADIANS * sampling_rate_hz / (2 * np.pi * scales.astype(np.float64))
    return WaveletBank(kernels, frequencies_hz, edge="constant")
