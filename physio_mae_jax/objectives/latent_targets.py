"""Prediction of latents: targets of a teacher that sees the whole window (models.md#losses).

The teacher is a moving average of the encoder (Baevski et al. 2022, data2vec; Assran et al. 2023).
The decoder predicts the teacher's latents of masked columns from the visible ones. Reconstruction,
which is trained beside it, keeps the latents from collapsing to a constant.
"""

import jax
import jax.numpy as jnp

from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.losses import example_mean
from physio_mae_jax.objectives.pretraining import Batch, Forward, MaskedModel
from physio_mae_jax.signals import patches
from physio_mae_jax.types import Params

_NORM_EPSILON = 1e-6


def teacher_latents(
    model: MaskedModel, teacher: Params, batch: Batch, column_ids: jax.Array | None
) -> jax.Array:
    """Return the teacher's latents of columns [B, P] (None: all), standardized over their width.

    Args:
        model: A model with ``latent_head``.
        teacher: Parameters with the teacher's encoder under 'encoder'.
        batch: Whole windows, see ``objectives.pretraining``.
        column_ids: [B, P] columns to return.

    Returns:
        [B, M, P, H, D] float32, without a gradient.
    """
    latents = model.apply({"params": teacher}, Windows.of(batch), method="grid")
    if column_ids is not None:
        latents = patches.take_columns(latents, column_ids, axis=2)
    standard = jax.nn.standardize(latents.astype(jnp.float32), epsilon=_NORM_EPSILON)
    return jax.lax.stop_gradient(standard)


def latent_error(predicted: jax.Array, target: jax.Array, token_weight: jax.Array) -> jax.Array:
    """Return the smooth absolute error of each example: [B].

    Args:
        predicted, target: [B, M, P, H, D].
        token_weight: [B, M, P, H], 1 for the tokens that count.
    """
    distance = jnp.abs(predicted - target)
    smooth = jnp.where(distance < 1, 0.5 * jnp.square(distance), distance - 0.5)
    return example_mean(smooth.mean(axis=-1), token_weight)


def latent_loss(model: MaskedModel, teacher: Params, batch: Batch, result: Forward) -> jax.Array:
    """Return the loss of the latents that a model predicted, a scalar.

    Args:
        model: A model with ``latent_head``.
        teacher: Parameters with the teacher's encoder under 'encoder'.
        batch: Whole windows.
        result: What the model predicted of them.
    """
    assert result.predicted.latents is not None  # the model has a head for them
    target = teacher_latents(model, teacher, batch, result.predicted_ids)
    return latent_error(result.predicted.latents, target, result.token_weight).mean()
