"""Mean token and LayerNorm, followed by the linear layer of every head."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.layers import layer_norm
from physio_mae_jax.models.pooling import pool_tokens


class LinearHead(nn.Module):
    """The mean token, normalized."""

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, D]."""
        del train
        return layer_norm("norm", jnp.dtype("float32"))(pool_tokens(latents, token_mask))
