"""Which time columns a model may see. Masks are made here from keys and handed to the model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class ColumnMask(NamedTuple):
    """Split of the W time columns of each example; the same for all its channels and scales.

    Both lists of ids are in ascending order, so that neighbours in a list are neighbours in time
    (the original code kept visible columns in random order, defect D4).

    Attributes:
        visible_ids: [B, K] columns the encoder sees.
        hidden_ids: [B, W - K] columns to predict.
        hidden: [B, W] bool, True = hidden.
    """

    visible_ids: jax.Array
    hidden_ids: jax.Array
    hidden: jax.Array


def num_visible_columns(num_columns: int, mask_ratio: float) -> int:
    """Return K = floor(W (1 - mask_ratio)) (spec.md §5)."""
    # The small term undoes rounding such as 100 · (1 - 0.9) = 9.999….
    return int(num_columns * (1 - mask_ratio) + 1e-9)


def mask_from_noise(noise: jax.Array, mask_ratio: float) -> ColumnMask:
    """Hide the columns with the largest noise (spec.md §5).

    Args:
        noise: [B, W], one number a column, shared by all channels (tubelets).
        mask_ratio: share of the columns to hide.
    """
    num_visible = num_visible_columns(noise.shape[-1], mask_ratio)
    order = jnp.argsort(noise, axis=-1)
    visible_ids = jnp.sort(order[:, :num_visible], axis=-1)
    hidden_ids = jnp.sort(order[:, num_visible:], axis=-1)
    rank = jnp.argsort(order, axis=-1)
    return ColumnMask(visible_ids, hidden_ids, rank >= num_visible)


def tubelet_mask(key: jax.Array, batch: int, num_columns: int, mask_ratio: float) -> ColumnMask:
    """Hide whole time columns at random: all channels, all scales alike."""
    return mask_from_noise(jax.random.uniform(key, (batch, num_columns)), mask_ratio)
