"""Mean of the tokens of a window, which may be weighted by column."""

import jax
import jax.numpy as jnp
import numpy as np


def pool_tokens(
    latents: jax.Array, token_mask: jax.Array, column_weights: np.ndarray | None = None
) -> jax.Array:
    """Average tokens.

    Args:
        latents: [B, M, K, R, D].
        token_mask: [B, M, K, R] bool, or broadcast to that; True for tokens that count. Where no
            token does, the result is 0.
        column_weights: [K] weights of the columns; None for equal ones.

    Returns:
        [B, D] float32.
    """
    token_mask = jnp.broadcast_to(token_mask, latents.shape[:-1])
    weights = token_mask.astype(jnp.float32)
    values = jnp.where(token_mask[..., None], latents.astype(jnp.float32), 0.0)
    if column_weights is not None:
        by_column = jnp.asarray(column_weights, jnp.float32)[:, None]
        weights, values = weights * by_column, values * by_column[..., None]
    weight = weights.mean(axis=3).sum(axis=(1, 2))
    total = values.mean(axis=3).sum(axis=(1, 2))
    return total / jnp.where(weight > 0, weight, 1.0)[:, None]
