"""Continuous wavelet transform inside jit.

Two methods:

* ``fft``: in float32, on any device.
* ``products``: all wavelets at 64 positions as one float16 matrix, for the tensor cores of NVIDIA
  GPUs: several times as many operations in a third of the time. The error is 5e-4 of a
  plane's standard deviation, twice that if most of a signal is above the band of the wavelets;
  bfloat16 is less accurate.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.signals.data_parallel import shard_map_batch
from physio_mae_jax.signals.wavelet_bank import WaveletBank, WaveletConfig, wavelet_bank

Method = Literal["fft", "products"]

_BLOCK = 64  # time positions per matmul


def difference_planes(signal: jax.Array, config: WaveletConfig) -> jax.Array:
    """Stack the signal with its first and second difference (models.md#difference-planes).

    Args:
        signal: [..., L].
        config: Wavelet config; ``difference_planes`` False returns only the signal.

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
    """Correlate each row with each wavelet of the bank, by FFT.

    Args:
        planes: [B, …, L] float32.
        bank: Bank of S kernels of P samples.
        num_valid: [B] number of leading samples of each example that are signal, the rest being
            padding; None if all are. The padding does not affect the samples before it.

    Returns:
        [B, …, S, L] float32; samples past ``num_valid`` are undefined.
    """
    num_samples = planes.shape[-1]
    extended = _extend(planes.astype(jnp.float32), bank, num_valid)
    from scipy import fft as scipy_fft  # takes as long to import as Flax

    fft_length = scipy_fft.next_fast_len(extended.shape[-1], real=True)
    response = np.conj(np.fft.rfft(bank.kernels, fft_length)).astype(np.complex64)

    def correlate(rows: jax.Array) -> jax.Array:
        spectrum = jnp.fft.rfft(rows, fft_length)[..., None, :] * jnp.asarray(response)
        # The circular correlation wraps around only past the first L outputs.
        return jnp.fft.irfft(spectrum, fft_length)[..., :num_samples]

    return shard_map_batch(correlate, extended)


def transform_in_blocks(
    planes: jax.Array, bank: WaveletBank, num_valid: jax.Array | None = None
) -> jax.Array:
    """Compute ``transform`` by matmuls: [B, …, L] -> [B, …, n, S, 64], n blocks of time.

    Samples past L in the last block are undefined as well.
    """
    num_blocks = -(-planes.shape[-1] // _BLOCK)
    matrix = _block_matrix(bank)
    num_pieces = len(matrix) // _BLOCK  # spanned by the wavelets of a block
    extended = _extend(planes.astype(jnp.float32), bank, num_valid)

    def correlate(rows: jax.Array) -> jax.Array:
        # Rows are scaled to at most 1, so that they fit float16.
        peak = jnp.maximum(jnp.abs(rows).max(axis=-1, keepdims=True), 1e-30)
        total_length = (num_blocks + num_pieces - 1) * _BLOCK
        padding = [*[(0, 0)] * (rows.ndim - 1), (0, max(0, total_length - rows.shape[-1]))]
        padded = jnp.pad(rows / peak, padding)[..., :total_length]
        pieces = padded.astype(jnp.float16).reshape(*rows.shape[:-1], -1, _BLOCK)
        reach = [pieces[..., first : first + num_blocks, :] for first in range(num_pieces)]
        blocks = jnp.matmul(
            jnp.concatenate(reach, axis=-1),
            jnp.asarray(matrix),
            preferred_element_type=jnp.float32,
        )
        return blocks.reshape(*blocks.shape[:-1], -1, _BLOCK) * peak[..., None, None]

    return shard_map_batch(correlate, extended)


def _block_matrix(bank: WaveletBank) -> np.ndarray:
    """Place each wavelet at each position of a block in a column: [pieces · 64, S · 64]."""
    num_scales, length = bank.kernels.shape
    reach = -(-(length + _BLOCK - 1) // _BLOCK) * _BLOCK
    matrix = np.zeros((reach, num_scales, _BLOCK), np.float16)
    for column in range(_BLOCK):
        matrix[column : column + length, :, column] = bank.kernels.T
    return matrix.reshape(reach, -1)


def _extend(planes: jax.Array, bank: WaveletBank, num_valid: jax.Array | None) -> jax.Array:
    """Pad [B, …, L] by ``bank.padding`` samples past both ends of the valid samples."""
    padding = bank.padding
    if num_valid is None:
        widths = [(0, 0)] * (planes.ndim - 1) + [(padding, padding)]
        return jnp.pad(planes, widths, mode=bank.edge)
    position = jnp.arange(-padding, planes.shape[-1] + padding)
    # Reflection as a triangle wave, valid for any padding, even longer than the signal.
    period = jnp.maximum(2 * (num_valid[:, None] - 1), 1)
    folded = position % period
    index = jnp.minimum(folded, period - folded)
    extended = jax.vmap(lambda row, ids: jnp.take(row, ids, axis=-1, mode="clip"))(planes, index)
    if bank.edge == "reflect":
        return extended
    inside = (position >= 0) & (position < num_valid[:, None])
    return jnp.where(_over_last_axis(inside, planes.ndim), extended, 0.0)


def _over_last_axis(rows: jax.Array, ndim: int) -> jax.Array:
    """Reshape [B, L] to [B, 1, …, 1, L] with ``ndim`` axes."""
    return rows.reshape(rows.shape[0], *[1] * (ndim - 2), rows.shape[1])


class PlaneStatistics(NamedTuple):
    """Mean and standard deviation of each plane over scales and samples, [..., 1, 1] each."""

    mean: jax.Array
    std: jax.Array


def plane_statistics(
    coefficients: jax.Array, num_valid: jax.Array | None = None
) -> PlaneStatistics:
    """Compute statistics of each plane over scales and valid samples (models.md#normalization).

    Args:
        coefficients: [B, …, S, L].
        num_valid: [B] as in ``transform``.

    Returns:
        The mean and the unbiased standard deviation, floored at 1e-5.
    """
    num_samples = coefficients.shape[-1]
    valid = _valid_mask(num_samples, num_samples, num_valid)
    return _statistics(coefficients, _over_last_axis(valid, coefficients.ndim), (-2, -1))


def _valid_mask(length: int, num_samples: int, num_valid: jax.Array | None) -> jax.Array:
    """Return 1 for valid samples and 0 for padding: float32 [B, length], or [1, length]."""
    limits = jnp.array([num_samples]) if num_valid is None else num_valid
    return (jnp.arange(length) < limits[:, None]).astype(jnp.float32)


def _statistics(
    coefficients: jax.Array, valid: jax.Array, axes: tuple[int, ...]
) -> PlaneStatistics:
    """Compute statistics of [..., S, X] along ``axes`` (scales included), weighted by ``valid``.

    Wavelets reject constants, so the mean is small relative to the standard deviation, and squares
    are summed in the same pass without subtracting it.
    """
    count = valid.sum(axis=axes, keepdims=True) * coefficients.shape[-2]
    total = (coefficients * valid).sum(axis=axes, keepdims=True)
    squares = (jnp.square(coefficients) * valid).sum(axis=axes, keepdims=True)
    mean = total / count
    variance = (squares - total * mean) / (count - 1)
    return PlaneStatistics(mean, jnp.sqrt(jnp.maximum(variance, 1e-10)))


def normalize_planes(coefficients: jax.Array, statistics: PlaneStatistics) -> jax.Array:
    """Normalize [B, …, S, L] by its plane statistics and clip to ±100 (models.md#normalization).

    A common mean and standard deviation preserves the relative energy of the scales, which a
    classifier needs.
    """
    return jnp.clip((coefficients - statistics.mean) / statistics.std, -100.0, 100.0)


def coefficients(
    signal: jax.Array,
    config: WaveletConfig,
    sampling_rate_hz: float,
    num_valid: jax.Array | None = None,
) -> jax.Array:
    """Compute the unnormalized wavelet planes [B, M, C, S, L] of [B, M, L] by FFT."""
    bank = wavelet_bank(config, sampling_rate_hz, signal.shape[-1])
    return transform(_planes(signal, config, num_valid), bank, num_valid)


def _planes(signal: jax.Array, config: WaveletConfig, num_valid: jax.Array | None) -> jax.Array:
    """Return the planes to transform: [B, M, L] -> [B, M, C, L]."""
    if num_valid is not None:
        # The differences at the last valid sample must not use the padding after it.
        last = jnp.minimum(jnp.arange(signal.shape[-1]), num_valid[:, None] - 1)
        signal = jnp.take_along_axis(signal, last[:, None, :], axis=-1)
    return difference_planes(signal, config)


def scalogram(
    signal: jax.Array,
    config: WaveletConfig,
    sampling_rate_hz: float,
    num_valid: jax.Array | None = None,
    method: Method = "fft",
) -> jax.Array:
    """Compute the normalized wavelet planes of a signal.

    Args:
        signal: [B, M, L].
        config: Choice of the wavelet bank.
        sampling_rate_hz: Sampling rate of the signal, in Hz.
        num_valid: [B] as in ``transform``.
        method: 'fft' or 'products', see the module docstring.

    Returns:
        [B, M, C, S, L] float32, row 0 the highest frequency.
    """
    num_samples = signal.shape[-1]
    planes = _planes(signal, config, num_valid)
    bank = wavelet_bank(config, sampling_rate_hz, num_samples)
    if method == "fft":
        rows = transform(planes, bank, num_valid)
        return normalize_planes(rows, plane_statistics(rows, num_valid))
    blocks = transform_in_blocks(planes, bank, num_valid)
    num_blocks = blocks.shape[-3]
    valid = _valid_mask(num_blocks * _BLOCK, num_samples, num_valid)
    valid = valid.reshape(-1, 1, 1, num_blocks, 1, _BLOCK)
    # Computed before the transpose, which is then fused into the normalization pass.
    blocks = normalize_planes(blocks, _statistics(blocks, valid, (-3, -2, -1)))
    rows = blocks.swapaxes(-3, -2)
    return rows.reshape(*rows.shape[:-2], -1)[..., :num_samples]
