"""Mean of the tokens of a window."""

import jax
import jax.numpy as jnp


def pool_tokens(latents: jax.Array, token_mask: jax.Array) -> jax.Array:
    """Average tokens.

    Args:
        latents: [B, M, K, R, D].
        token_mask: [B, M, K, R] bool, or broadcast to that; True for tokens that count. Where no
            token does, the result is 0.

    Returns:
        [B, D] float32.
    """
    token_mask = jnp.broadcast_to(token_mask, latents.shape[:-1])
    num_columns = token_mask.astype(jnp.float32).mean(axis=3).sum(axis=(1, 2))
    totals = jnp.where(token_mask[..., None], latents.astype(jnp.float32), 0.0)
    totals = totals.mean(axis=3).sum(axis=(1, 2))
    return totals / jnp.where(num_columns > 0, num_columns, 1.0)[:, None]
