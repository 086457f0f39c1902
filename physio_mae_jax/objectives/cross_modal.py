"""Reconstruction of one modality of a window from the other: a hidden ECG from its PPG, and back.

Both channels are encoded together. One of them is hidden entirely, the other is seen whole, and the
masked columns of the hidden one are predicted (models.md#contrastive-loss).
"""

import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES
from physio_mae_jax.objectives.masking import Mask
from physio_mae_jax.objectives.pretraining import (
    Batch,
    MaskedModel,
    ObjectiveConfig,
    forward,
    reconstruction_loss,
)
from physio_mae_jax.types import Params

NUM_MODALITIES = 2


def cross_modal_loss(
    model: MaskedModel, objective: ObjectiveConfig, params: Params, batch: Batch, mask: Mask
) -> jax.Array:
    """Return the loss of the hidden modality of each window, a scalar.

    Args:
        model: Model of single channels.
        objective: Weights of the losses.
        params: Model parameters.
        batch: Batch of single channels from ``split_modalities``, 2B examples.
        mask: Their mask, of kind 'tube'.
    """
    pairs = join_modalities(batch)
    hidden = cross_modal_mask(mask, pairs["channel_mask"], model.config)
    result = forward(model, objective, params, pairs, hidden)
    loss, _ = reconstruction_loss(model.config, objective, result)
    return loss


def join_modalities(batch: Batch) -> Batch:
    """Join adjacent single-channel examples to windows of two channels.

    The inverse of ``split_modalities``.
    """
    return {
        name: values.reshape(-1, NUM_MODALITIES, *values.shape[2:])
        if name in CHANNEL_ENTRIES
        else values[::NUM_MODALITIES]
        for name, values in batch.items()
    }


def cross_modal_mask(mask: Mask, channel_mask: jax.Array, model: MaeConfig) -> Mask:
    """Return the mask of B windows that hides one channel entirely and no column of the other.

    The second channel is hidden in every other window, the first in the rest. Scored are the
    columns that ``mask`` masks in the first example of each window. A window that lacks a channel
    scores nothing: it has no pair.

    Args:
        mask: Mask of 2B examples of one channel.
        channel_mask: [B, 2] bool.
        model: Model config.
    """
    assert mask.predicted_ids is not None  # of kind 'tube', see ``ContrastiveConfig``
    size = len(channel_mask)
    predicted = mask.predicted_ids[::NUM_MODALITIES]
    second = jnp.arange(size) % 2 == 0
    hidden = jnp.stack([~second, second], axis=1)
    scored = hidden & channel_mask.all(axis=1, keepdims=True)
    columns = model.num_columns
    return Mask(
        visible_ids=jnp.broadcast_to(jnp.arange(columns), (size, columns)),
        predicted_ids=predicted,
        masked_columns=jnp.zeros((size, columns), bool),
        scored=jnp.broadcast_to(
            scored[:, :, None, None], (size, NUM_MODALITIES, predicted.shape[1], model.num_rows)
        ),
        masked_channels=hidden,
    )
