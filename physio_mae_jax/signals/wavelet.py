"""Continuous wavelet transform with the Ricker wavelet, inside jit, by FFT.

Two banks of wavelets:

* ``hz``: scales from target frequencies in Hz, log spaced, high to low. Kernels are odd, centred
  and band limited, edges are reflected. One setting means the same physiology at every sampling
  rate.
* ``samples``: the linear bank of the original CWT-MAE (spec.md §1.3-1.6), scales 0.1, 1.1, 2.1, …
  samples with zero padded edges, kept with its quirks for exact comparison with that code.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import fft as scipy_fft

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.own_examples import each_device_its_own

# |psi| at five scales from its centre is 1e-4 of its peak, below what bfloat16 resolves.
_RADIUS_IN_SCALES = 5.0
# The Ricker wavelet of scale s (samples) has its spectral peak at sqrt(2) / s radians a sample.
_PEAK_RADIANS = math.sqrt(2.0)
BANKS = ("hz", "samples")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveletConfig:
    """Choice of the wavelet bank.

    Attributes:
        bank: 'hz' or 'samples', see the module docstring.
        num_scales: S, rows of the scalogram.
        lowest_frequency_hz: centre frequency of the coarsest wavelet ('hz' bank).
        highest_frequency_hz: centre frequency of the finest wavelet ('hz' bank), at most half
            the sampling rate.
        difference_planes: True gives C = 3 planes (signal, first and second difference),
            False the signal alone.
    """

    bank: str = "hz"
    num_scales: int = 64
    lowest_frequency_hz: float = 0.5
    highest_frequency_hz: float = 50.0
    difference_planes: bool = True

    def __post_init__(self) -> None:
        if self.bank not in BANKS:
            raise ConfigError(f"wavelet.bank is {self.bank!r}; choose one of {', '.join(BANKS)}.")
        if self.num_scales < 2:
            raise ConfigError(f"wavelet.num_scales is {self.num_scales}; at least 2 are needed.")
        if not 0 < self.lowest_frequency_hz < self.highest_frequency_hz:
            raise ConfigError(
                f"wavelet.lowest_frequency_hz ({self.lowest_frequency_hz}) must be above 0 and "
                f"below wavelet.highest_frequency_hz ({self.highest_frequency_hz})."
            )

    @property
    def num_planes(self) -> int:
        """C, wavelet planes a channel."""
        return 3 if self.difference_planes else 1


@dataclasses.dataclass(frozen=True, eq=False)
class WaveletBank:
    """Sampled wavelets.

    Attributes:
        kernels: [S, P] float64, row 0 the finest.
        frequencies_hz: [S] centre frequencies, high to low.
        edge: how a signal is continued past its ends, a mode of ``jnp.pad``.
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
        ConfigError: a frequency above half the sampling rate, or a wavelet longer than the window.
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
    kernels = np.stack([_band_limited_ricker(scale, radius) for scale in scales])
    return WaveletBank(kernels, frequencies_hz, edge="reflect")


def _band_limited_ricker(scale: float, radius: int) -> np.ndarray:
    """Sample a Ricker wavelet after removing what lies above half the sampling rate.

    Plain sampling of a wavelet as narrow as a sample aliases: the finest row would respond to a
    constant. The spectrum A sqrt(2 pi) s (s w)^2 exp(-(s w)^2 / 2) is therefore cut at w = pi and
    transformed back; from scales of about 1.5 samples on the result equals the plain formula.

    Returns:
        [2 radius + 1] kernel, centred, symmetric.
    """
    # Eight times the support keeps the circular images of the kernel's slow tails below 1e-6.
    length = scipy_fft.next_fast_len(8 * (2 * radius + 1), real=True)
    omega = 2 * np.pi * np.fft.rfftfreq(length)
    amplitude = 2 / (np.sqrt(3 * scale) * np.pi**0.25)
    spectrum = amplitude * np.sqrt(2 * np.pi) * scale * (scale * omega) ** 2
    spectrum *= np.exp(-((scale * omega) ** 2) / 2)
    kernel = np.fft.irfft(spectrum, length)
    return np.concatenate([kernel[-radius:], kernel[: radius + 1]])


def _bank_in_samples(num_scales: int, sampling_rate_hz: float, num_samples: int) -> WaveletBank:
    """Reproduce spec.md §1.3-1.6, the even kernel length of float32 arithmetic included."""
    scales = np.arange(num_scales, dtype=np.float32) + np.float32(0.1)
    length = min(float(scales[-1]) * 10, float(num_samples))
    if length % 2 == 0:
        length += 1
    time = np.arange(int(length)) - (int(length) - 1) / 2
    ratio = (time[None, :] / scales[:, None].astype(np.float64)) ** 2
    amplitude = 2 / (np.sqrt(3 * scales.astype(np.float64)) * np.pi**0.25 + 1e-6)
    kernels = amplitude[:, None] * (1 - ratio) * np.exp(-ratio / 2)
    frequencies_hz = _PEAK_RADIANS * sampling_rate_hz / (2 * np.pi * scales.astype(np.float64))
    return WaveletBank(kernels, frequencies_hz, edge="constant")


def difference_planes(signal: jax.Array, config: WaveletConfig) -> jax.Array:
    """Stack the signal with its first and second difference (spec.md §1.2).

    Args:
        signal: [..., L].
        config: ``difference_planes`` False returns the signal alone.

    Returns:
        [..., C, L]; d1[n] = x[n] - x[n-1] with d1[0] = 0, d2[n] = x[n+1] - 2 x[n] + x[n-1] with
        replicated ends.
    """
    if not config.difference_planes:
        return signal[..., None, :]
    previous = jnp.concatenate([signal[..., :1], signal[..., :-1]], axis=-1)
    following = jnp.concatenate([signal[..., 1:], signal[..., -1:]], axis=-1)
    return jnp.stack([signal, signal - previous, following - 2 * signal + previous], axis=-2)


def transform(
    planes: jax.Array, bank: WaveletBank, num_valid: jax.Array | None = None
) -> jax.Array:
    """Correlate each row with each wavelet of the bank.

    Args:
        planes: [B, …, L] float32.
        bank: S kernels of P samples.
        num_valid: [B] samples at the front of each example that are signal, the rest being
            padding; None where all are. The padding changes nothing in front of it.

    Returns:
        [B, …, S, L] float32; what lies past ``num_valid`` has no meaning.
    """
    num_samples = planes.shape[-1]
    extended = _extend(planes.astype(jnp.float32), bank, num_valid)
    fft_length = scipy_fft.next_fast_len(extended.shape[-1], real=True)
    response = np.conj(np.fft.rfft(bank.kernels, fft_length)).astype(np.complex64)

    def correlate(rows: jax.Array) -> jax.Array:
        spectrum = jnp.fft.rfft(rows, fft_length)[..., None, :] * jnp.asarray(response)
        # The circular correlation wraps around only past the first L outputs.
        return jnp.fft.irfft(spectrum, fft_length)[..., :num_samples]

    return each_device_its_own(correlate, extended)


def _extend(planes: jax.Array, bank: WaveletBank, num_valid: jax.Array | None) -> jax.Array:
    """Continue [B, …, L] by ``bank.padding`` samples past both ends of what is valid."""
    padding = bank.padding
    if num_valid is None:
        widths = [(0, 0)] * (planes.ndim - 1) + [(padding, padding)]
        return jnp.pad(planes, widths, mode=bank.edge)
    position = jnp.arange(-padding, planes.shape[-1] + padding)
    # Reflection as a triangle wave: it holds for any padding, also one longer than the signal.
    period = jnp.maximum(2 * (num_valid[:, None] - 1), 1)
    folded = position % period
    index = jnp.minimum(folded, period - folded)
    extended = jax.vmap(lambda row, ids: jnp.take(row, ids, axis=-1, mode="clip"))(planes, index)
    if bank.edge == "reflect":
        return extended
    inside = (position >= 0) & (position < num_valid[:, None])
    return jnp.where(_over_last_axis(inside, planes.ndim), extended, 0.0)


def _over_last_axis(rows: jax.Array, ndim: int) -> jax.Array:
    """Give [B, L] the shape [B, 1, …, 1, L] of ``ndim`` axes."""
    return rows.reshape(rows.shape[0], *[1] * (ndim - 2), rows.shape[1])


class PlaneStatistics(NamedTuple):
    """Mean and deviation of each wavelet plane over scales and samples, [..., 1, 1] each."""

    mean: jax.Array
    deviation: jax.Array


def plane_statistics(
    coefficients: jax.Array, num_valid: jax.Array | None = None
) -> PlaneStatistics:
    """Measure each plane over its scales and valid samples jointly (spec.md §1.8).

    Args:
        coefficients: [B, …, S, L].
        num_valid: [B] as in ``transform``.

    Returns:
        The mean and the unbiased deviation, floored at 1e-5.
    """
    num_scales, num_samples = coefficients.shape[-2:]
    counted = jnp.ones((1, num_samples))
    if num_valid is not None:
        counted = jnp.arange(num_samples) < num_valid[:, None]
    weight = _over_last_axis(counted.astype(jnp.float32), coefficients.ndim)
    count = weight.sum(axis=-1, keepdims=True) * num_scales
    axes = (-2, -1)
    mean = (coefficients * weight).sum(axis=axes, keepdims=True) / count
    squares = jnp.square(coefficients - mean) * weight
    variance = squares.sum(axis=axes, keepdims=True) / (count - 1)
    return PlaneStatistics(mean, jnp.maximum(jnp.sqrt(variance), 1e-5))


def normalise_planes(coefficients: jax.Array, statistics: PlaneStatistics) -> jax.Array:
    """Normalise [B, …, S, L] by its plane statistics and clip to ±100 (spec.md §1.8).

    One mean and deviation for all scales keeps their relative energy, which a classifier needs.
    """
    return jnp.clip((coefficients - statistics.mean) / statistics.deviation, -100.0, 100.0)


def coefficients(
    signal: jax.Array,
    config: WaveletConfig,
    sampling_rate_hz: float,
    num_valid: jax.Array | None = None,
) -> jax.Array:
    """Compute the wavelet planes [B, M, C, S, L] of [B, M, L], not normalised."""
    bank = wavelet_bank(config, sampling_rate_hz, signal.shape[-1])
    if num_valid is not None:
        # The differences at the last valid sample must not see the padding behind it.
        last = jnp.minimum(jnp.arange(signal.shape[-1]), num_valid[:, None] - 1)
        signal = jnp.take_along_axis(signal, last[:, None, :], axis=-1)
    return transform(difference_planes(signal, config), bank, num_valid)


def scalogram(
    signal: jax.Array,
    config: WaveletConfig,
    sampling_rate_hz: float,
    num_valid: jax.Array | None = None,
) -> jax.Array:
    """Compute the normalised wavelet planes of a signal.

    Args:
        signal: [B, M, L].
        config: the bank.
        sampling_rate_hz: of the signal.
        num_valid: [B] as in ``transform``.

    Returns:
        [B, M, C, S, L] float32, row 0 the highest frequency.
    """
    planes = coefficients(signal, config, sampling_rate_hz, num_valid)
    return normalise_planes(planes, plane_statistics(planes, num_valid))
