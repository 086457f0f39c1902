"""Heads that summarize a window in one vector, and the dict of all heads.

To add one, write its class here, or in a module of its own if it is long as ``reasoning``, and add
its line to ``HEADS`` (contributing.md#add-a-head).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import Head, HeadConfig, xavier_init
from physio_mae_jax.models.heads.reasoning import ReasoningHead
from physio_mae_jax.models.layers import Linear, layer_norm
from physio_mae_jax.models.pooling import pool_tokens

_FLOAT32 = jnp.dtype("float32")
# Standard deviations of the weights around the event: a beat, and the beats next to it.
_SCALES_SECONDS = (0.15, 0.8)


class LinearHead(nn.Module):
    """Mean token and LayerNorm, before the linear layer of every head."""

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, D]."""
        del train
        return layer_norm("norm", _FLOAT32)(pool_tokens(latents, token_mask))


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
        return layer_norm("norm", _FLOAT32)(pooled)


class AttentionPool(nn.Module):
    """Mean of the tokens, weighted separately in each attention head by a learned query."""

    num_heads: int

    @nn.compact
    def __call__(self, tokens: jax.Array, token_mask: jax.Array) -> jax.Array:
        """Map tokens [B, T, D] with their mask [B, T] to [B, D] float32."""
        batch, count, width = tokens.shape
        tokens = jnp.where(token_mask[:, :, None], tokens.astype(jnp.float32), 0.0)
        tokens = layer_norm("norm", _FLOAT32)(tokens)
        # Zero initialization gives the plain mean.
        scores = Linear(self.num_heads, kernel_init=nn.initializers.zeros, name="query")(tokens)
        scores = jnp.where(token_mask[:, :, None], scores, -jnp.inf)
        weights = jax.nn.softmax(scores, axis=1)
        heads = tokens.reshape(batch, count, self.num_heads, -1)
        return jnp.einsum("bth,bthd->bhd", weights, heads).reshape(batch, width)


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
        parts = [layer_norm("mean_norm", _FLOAT32)(mean), layer_norm("std_norm", _FLOAT32)(std)]
        return jnp.concatenate(parts, axis=-1)


class EventHead(nn.Module):
    """Means of the tokens: near the event, around it, and of the whole window, each normalized.

    The mean of a window dilutes one beat among ten; its context tells whether it came early.
    """

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, 3 D]."""
        del train
        latents = latents.astype(jnp.float32)
        weights = event_weights(self.model, self.settings.event_offset, latents.shape[2])
        means = [pool_tokens(latents, token_mask, one) for one in weights]
        means.append(pool_tokens(latents, token_mask))
        return jnp.concatenate(
            [layer_norm(f"norm_{i}", _FLOAT32)(mean) for i, mean in enumerate(means)],
            axis=-1,
        )


def event_weights(model: MaeConfig, event_offset: float, num_columns: int) -> list[np.ndarray]:
    """Return normal weights of the columns [W] around the event, at each scale."""
    distance = np.arange(num_columns) + 0.5 - event_offset * num_columns
    column_seconds = model.patch_samples / model.sampling_rate_hz
    return [
        np.exp(-0.5 * np.square(distance * column_seconds / seconds)) for seconds in _SCALES_SECONDS
    ]


class ResidualMlpHead(nn.Module):
    """Mean token, LayerNorm, a projection, residual MLP blocks, LayerNorm, as in v2."""

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


# Heads by the name that head.kind gives.
HEADS: dict[str, type[Head]] = {
    "linear": LinearHead,
    "attention": AttentionHead,
    "reasoning": ReasoningHead,
    "residual_mlp": ResidualMlpHead,
    "statistics": StatisticsHead,
    "event": EventHead,
}
