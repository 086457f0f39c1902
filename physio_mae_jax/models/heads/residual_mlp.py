"""Residual MLP blocks over the mean token, the head of the original v2 without queries."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig, xavier_init
from physio_mae_jax.models.layers import Linear, layer_norm
from physio_mae_jax.models.pooling import pool_tokens

_FLOAT32 = jnp.dtype("float32")


class ResidualMlpHead(nn.Module):
    """Mean token, LayerNorm, a projection, residual MLP blocks, LayerNorm."""

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, hidden_width]."""
        del train
        pooled = layer_norm("norm", _FLOAT32)(pool_tokens(latents, token_mask))
        hidden = nn.gelu(self._linear("project")(pooled), approximate=False)
        for i in range(self.settings.num_blocks):
            inner = layer_norm(f"block_{i}_norm", _FLOAT32)(hidden)
            inner = nn.gelu(self._linear(f"block_{i}_first")(inner), approximate=False)
            hidden = hidden + self._linear(f"block_{i}_second")(inner)
        return layer_norm("output_norm", _FLOAT32)(hidden)

    def _linear(self, name: str) -> Linear:
        return Linear(self.settings.hidden_width, kernel_init=xavier_init, name=name)
