"""Mean token, weighted by a learned query in each attention head."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.layers import Linear, layer_norm


class AttentionHead(nn.Module):
    """The mean of the tokens, weighted separately in each attention head, normalized."""

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, D]."""
        del train
        pooled = AttentionPool(self.model.num_heads, name="pool")(
            latents.reshape(len(latents), -1, latents.shape[-1]),
            token_mask.reshape(len(latents), -1),
        )
        return layer_norm("norm", jnp.dtype("float32"))(pooled)


class AttentionPool(nn.Module):
    """Mean of the tokens, weighted separately in each attention head by a learned query."""

    num_heads: int

    @nn.compact
    def __call__(self, tokens: jax.Array, token_mask: jax.Array) -> jax.Array:
        """Map tokens [B, T, D] with their mask [B, T] to [B, D] float32."""
        batch, count, width = tokens.shape
        tokens = jnp.where(token_mask[:, :, None], tokens.astype(jnp.float32), 0.0)
        tokens = layer_norm("norm", jnp.dtype("float32"))(tokens)
        # Zero initialization gives the plain mean.
        scores = Linear(self.num_heads, kernel_init=nn.initializers.zeros, name="query")(tokens)
        scores = jnp.where(token_mask[:, :, None], scores, -jnp.inf)
        weights = jax.nn.softmax(scores, axis=1)
        heads = tokens.reshape(batch, count, self.num_heads, -1)
        return jnp.einsum("bth,bthd->bhd", weights, heads).reshape(batch, width)
