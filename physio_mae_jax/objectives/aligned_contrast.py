"""InfoNCE between sequences of time steps, compared at their best lag.

The logit of two windows is a soft maximum, over the physiological lags, of the similarity of their
time steps. A window that has the right heart rate but other beat times is no match at any lag
(models.md#contrastive-loss).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.signals.lagged_similarity import (
    circular_similarity,
    paired_similarity,
    pairwise_similarity,
)

_EXCLUDED = -1e9  # logit of excluded pairs
_LAG_SHARPNESS = 2.0  # of the soft maximum over lags, per logit
_MIN_ROTATION_SECONDS = 1.0


def rotation_steps(count: int, num_steps: int, step_seconds: float) -> tuple[int, ...]:
    """Spread rotations of a window evenly, none within a second of where it was.

    Args:
        count: Number of rotations; fewer if the window has no more.
        num_steps: Time steps of a window.
        step_seconds: Length of a step.
    """
    least = int(np.ceil(_MIN_ROTATION_SECONDS / step_seconds))
    if not count or 2 * least > num_steps:
        return ()
    return tuple(sorted({round(one) for one in np.linspace(least, num_steps - least, count)}))


def aligned_info_nce(
    first: jax.Array,
    second: jax.Array,
    negatives: jax.Array,
    present: jax.Array,
    lags: tuple[int, ...],
    rotations: tuple[int, ...],
) -> tuple[jax.Array, jax.Array]:
    """Symmetric InfoNCE loss between sequences, over the global batch as ``info_nce``.

    Args:
        first, second: [B, T, e] of ``models.contrastive.StepProjection``.
        negatives: [B, B] bool, symmetric, True for negative pairs.
        present: [B] bool, True for valid windows.
        lags: Lags of the first after the second, in steps.
        rotations: Rotations of the own partner that are negatives too, in steps.

    Returns:
        Scalar loss, mean of both directions; top-1 retrieval accuracy, likewise.
    """
    right = soft_maximum(paired_similarity(first, second, lags))
    logits = soft_maximum(pairwise_similarity(first, second, lags))
    rotated = None
    if rotations:
        around = circular_similarity(first, second)
        lagged = np.add.outer(np.array(rotations), np.array(lags)) % first.shape[1]
        rotated = soft_maximum(around[:, lagged])
    return cross_entropy(right, (logits, logits.T), negatives, present, rotated)


def soft_maximum(logits: jax.Array) -> jax.Array:
    """Return the soft maximum over the last axis, the lags; of equal logits, their value."""
    total = jax.nn.logsumexp(_LAG_SHARPNESS * logits, axis=-1) - jnp.log(logits.shape[-1])
    return total / _LAG_SHARPNESS


def cross_entropy(
    right: jax.Array,
    logits: Sequence[jax.Array],
    negatives: jax.Array,
    present: jax.Array,
    further: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Average the cross entropy of the right windows over both directions.

    Args:
        right: [B] logits of the right windows.
        logits: Logits [B, B] of all windows, in each direction.
        negatives: [B, B] bool, symmetric, True for negative pairs.
        present: [B] bool, True for valid windows.
        further: [B, n] logits of more negatives of each window, in both directions; or None.

    Returns:
        Scalar loss; top-1 accuracy.
    """
    weight = present / jnp.maximum(present.sum(), 1)
    losses, found = [], []
    for one in logits:
        wrong = jnp.where(negatives, one, _EXCLUDED)
        if further is not None:
            wrong = jnp.concatenate([wrong, further], axis=1)
        total = jnp.logaddexp(right, jax.nn.logsumexp(wrong, axis=1))
        losses.append(((total - right) * weight).sum())
        found.append(((right >= wrong.max(axis=1)) * weight).sum())
    return (losses[0] + losses[1]) / 2, (found[0] + found[1]) / 2
