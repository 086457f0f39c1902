"""The same wavelet transform as matrix products of columns, for machines that multiply fast.

A column of one frequency row is a linear function of the samples that its wavelets reach: one
product of [samples reached] and [samples reached, scales × samples]. Fine rows reach a few samples
and coarse ones hundreds, so each row has its own matrix. The results come out as patches, and an
FFT's complex spectra, ten times the size of a signal's own, are never written.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.signals import patches
from physio_mae_jax.signals.wavelet import (
    PlaneStatistics,
    WaveletBank,
    WaveletConfig,
    extend,
    normalise_planes,
    planes_of,
    wavelet_bank,
)

# Of a wavelet's norm, what may lie beyond the samples it is given: below what bfloat16 resolves.
_TAIL = 1e-4


class _Row(NamedTuple):
    """The wavelets of one frequency row as a matrix.

    Attributes:
        radius: samples reached before and after a column.
        matrix: [pt + 2 radius, pf · pt] float32.
    """

    radius: int
    matrix: np.ndarray


@functools.lru_cache(maxsize=16)
def _rows(
    config: WaveletConfig,
    sampling_rate_hz: float,
    num_samples: int,
    patch_scales: int,
    patch_samples: int,
) -> tuple[_Row, ...]:
    """Build the matrices of a bank, one for each frequency row."""
    bank = wavelet_bank(config, sampling_rate_hz, num_samples)
    return tuple(
        _row(bank, slice(first, first + patch_scales), patch_samples)
        for first in range(0, config.num_scales, patch_scales)
    )


def _row(bank: WaveletBank, scales: slice, patch_samples: int) -> _Row:
    kernels = bank.kernels[scales]
    radius = max(_radius(kernel, bank.padding) for kernel in kernels)
    # Sample t of a column sees the sample k of its reach through the wavelet's entry k - t.
    reach = np.arange(patch_samples + 2 * radius)
    entry = reach[:, None] - np.arange(patch_samples) - radius
    place = bank.padding + entry
    inside = (np.abs(entry) <= radius) & (place < kernels.shape[1])
    matrix = np.where(inside, kernels[:, np.clip(place, 0, kernels.shape[1] - 1)], 0.0)
    return _Row(radius, matrix.transpose(1, 0, 2).reshape(len(reach), -1).astype(np.float32))


def _radius(kernel: np.ndarray, centre: int) -> int:
    """Return how far from its centre a wavelet must be known to leave out no more than a tail."""
    distance = np.abs(np.arange(len(kernel)) - centre)
    energy = np.bincount(distance, weights=np.square(kernel))
    left_out = energy.sum() - np.cumsum(energy)
    return int(np.argmax(left_out <= _TAIL**2 * energy.sum()))


def scalogram_patches(
    signal: jax.Array,
    config: WaveletConfig,
    sampling_rate_hz: float,
    patch_scales: int,
    patch_samples: int,
    column_ids: jax.Array | None = None,
    num_valid: jax.Array | None = None,
) -> jax.Array:
    """Compute the normalised wavelet patches of a signal.

    Args:
        signal: [B, M, L].
        config: the bank.
        sampling_rate_hz: of the signal.
        patch_scales: scales a patch (pf).
        patch_samples: samples a patch (pt).
        column_ids: [B, K] columns wanted; None for all W.
        num_valid: [B] as in ``wavelet.transform``, whole columns.

    Returns:
        [B, M, K or W, H, C · pf · pt] float32, as ``patches.scalogram_patches``.
    """
    rows = _rows(config, sampling_rate_hz, signal.shape[-1], patch_scales, patch_samples)
    bank = wavelet_bank(config, sampling_rate_hz, signal.shape[-1])
    planes = extend(planes_of(signal, config, num_valid), bank, num_valid)
    columns = signal.shape[-1] // patch_samples
    coefficients = [_product(planes, row, bank.padding, columns, patch_samples) for row in rows]
    statistics = _statistics(coefficients, num_valid, patch_samples)
    if column_ids is not None:
        coefficients = [patches.take_columns(row, column_ids, axis=3) for row in coefficients]
    normalised = [normalise_planes(row, statistics) for row in coefficients]
    # Each row [B, M, C, W, pf · pt] takes its place among H.
    stacked = jnp.stack([row.swapaxes(2, 3) for row in normalised], axis=3)
    return stacked.reshape(*stacked.shape[:4], -1)


def _product(
    planes: jax.Array, row: _Row, padding: int, columns: int, patch_samples: int
) -> jax.Array:
    """Transform extended planes [B, M, C, L + 2 · padding]: [B, M, C, W, pf · pt] of a row."""
    first = np.arange(columns) * patch_samples + padding - row.radius
    reached = planes[..., first[:, None] + np.arange(len(row.matrix))]
    return reached @ row.matrix


def _statistics(
    coefficients: list[jax.Array], num_valid: jax.Array | None, patch_samples: int
) -> PlaneStatistics:
    """Measure each plane over its rows [B, M, C, W, pf · pt] and valid columns: [B, M, C, 1, 1]."""
    columns = coefficients[0].shape[3]
    counted = jnp.ones((1, columns))
    if num_valid is not None:
        counted = (jnp.arange(columns) < num_valid[:, None] // patch_samples).astype(jnp.float32)
    weight = counted[:, None, None, :, None]
    count = counted.sum(axis=1)[:, None, None, None, None] * sum(
        row.shape[-1] for row in coefficients
    )
    axes = (-2, -1)
    # In one reading: wavelets have no mean to speak of, so nothing cancels in the difference.
    total = sum((row * weight).sum(axis=axes, keepdims=True) for row in coefficients)
    squares = sum((row * row * weight).sum(axis=axes, keepdims=True) for row in coefficients)
    mean = total / count
    variance = (squares - count * mean * mean) / (count - 1)
    return PlaneStatistics(mean, jnp.sqrt(jnp.maximum(variance, 1e-10)))
