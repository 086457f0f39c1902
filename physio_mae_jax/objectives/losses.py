"""Weights of the scalogram loss, and the masked losses of both domains (models.md#losses)."""

import jax
import jax.numpy as jnp
import numpy as np


def scale_weights(
    frequencies_hz: np.ndarray,
    *,
    band_hz: tuple[float, float],
    edge_octaves: float,
    floor: float,
    tilt: float,
) -> np.ndarray:
    """Weight the rows of a scalogram by their physiological content.

    Two factors, divided by the mean of their product so that the loss keeps its scale:

    * band: 1 inside ``band_hz``, ``floor`` outside, joined by half a cosine in log frequency that
      is ``edge_octaves`` wide and centered on each end of the band, as the half-power points of a
      filter are. It reduces the weight of drift below and of muscle noise above.
    * tilt: frequency ** tilt. Energy of physiological signals falls with frequency, so without
      it the slow rows dominate the loss (models.md#losses); 1 would weight all rows of a 1/f
      signal equally and the noise at the top as much as the heart beat.

    Args:
        frequencies_hz: [S] center frequencies.
        band_hz: (low, high) of the physiological band, in Hz.
        edge_octaves: Width of each edge, > 0.
        floor: Weight outside the band, in [0, 1].
        tilt: Exponent of the frequency; 0 disables it.

    Returns:
        [S] float32 with mean 1.
    """
    octave = np.log2(frequencies_hz)
    low, high = np.log2(band_hz)
    inside = np.minimum(octave - low, high - octave) / edge_octaves
    edge = 0.5 + 0.5 * np.sin(np.pi * np.clip(inside, -0.5, 0.5))
    weights = (floor + (1 - floor) * edge) * frequencies_hz**tilt
    return (weights / weights.mean()).astype(np.float32)


def pixel_weights(
    scale_weight: np.ndarray, plane_weight: np.ndarray, patch_scales: int, patch_samples: int
) -> np.ndarray:
    """Combine weights of scales and planes into one weight for each value of a patch.

    The sum over a patch of weight × squared error is the loss of that token: the mean over
    (pf, pt) in each plane, times the plane's weight, summed over planes (models.md#losses).

    Args:
        scale_weight: [S].
        plane_weight: [C].
        patch_scales: Scales per patch (pf).
        patch_samples: Samples per patch (pt).

    Returns:
        [H, C · pf · pt] float32.
    """
    rows = scale_weight.reshape(-1, 1, patch_scales, 1)
    weights = rows * plane_weight.reshape(1, -1, 1, 1) / (patch_scales * patch_samples)
    weights = np.broadcast_to(weights, (*weights.shape[:3], patch_samples))
    return weights.reshape(rows.shape[0], -1).astype(np.float32)


def example_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Average [B, …] over all axes but the first, weighted: [B].

    An example whose weights are all 0 gives 0.
    """
    axes = tuple(range(1, values.ndim))
    total = weight.sum(axis=axes)
    return (values * weight).sum(axis=axes) / jnp.where(total > 0, total, 1.0)


def scalogram_error(
    predicted: jax.Array, target: jax.Array, weights: jax.Array, token_weight: jax.Array
) -> jax.Array:
    """Return each example's weighted squared error of predicted patches: [B].

    Args:
        predicted, target: [B, M, P, H, C · pf · pt].
        weights: [H, C · pf · pt] from ``pixel_weights``.
        token_weight: [B, M, P, H], 0 for excluded tokens.
    """
    per_token = (jnp.square(predicted - target) * weights).sum(axis=-1)
    return example_mean(per_token, token_weight)


def waveform_error(predicted: jax.Array, target: jax.Array, column_weight: jax.Array) -> jax.Array:
    """Return each example's mean squared error of predicted samples: [B].

    Args:
        predicted, target: [B, M, P, pt].
        column_weight: [B, M, P], 0 for excluded columns.
    """
    return example_mean(jnp.square(predicted - target).mean(axis=-1), column_weight)
