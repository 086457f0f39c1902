"""Mean and standard deviation of the tokens of a window."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.layers import layer_norm
from physio_mae_jax.models.pooling import pool_tokens


class StatisticsHead(nn.Module):
    """Mean and standard deviation of the tokens, each normalized.

    The second keeps what happens in a part of the window only, which the mean dilutes.
    """

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, 2 D]."""
        del train
        mean = pool_tokens(latents, token_mask)
        centered = latents.astype(jnp.float32) - mean[:, None, None, None]
        variance = pool_tokens(jnp.square(centered), token_mask)
        # The root of 0 has no gradient.
        std = jnp.sqrt(variance + 1e-6)
        dtype = jnp.dtype("float32")
        parts = [layer_norm("mean_norm", dtype)(mean), layer_norm("std_norm", dtype)(std)]
        return jnp.concatenate(parts, axis=-1)
