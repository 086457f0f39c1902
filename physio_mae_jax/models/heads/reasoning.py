"""Learned queries that attend to the tokens, then to each other."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig, xavier_init
from physio_mae_jax.models.layers import Linear, layer_norm


class ReasoningHead(nn.Module):
    """Learned queries attend to the tokens, then to each other; their mean is the embedding.

    Called latent chain of thought in the original; post-norm throughout. Before class vectors
    (ArcFace) the mean is projected once more, as in the original.
    """

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, D]."""
        batch, width, dtype = len(latents), latents.shape[-1], self.model.dtype
        tokens, key_mask = latents.reshape(batch, -1, width), token_mask.reshape(batch, -1)
        shape = (self.settings.num_queries, width)
        start = self.param("queries", nn.initializers.normal(0.02), shape)
        queries = jnp.broadcast_to(start.astype(dtype), (batch, *shape))
        dropout_rate = self.settings.dropout_rate
        layers = (self.model.num_heads, dtype, dropout_rate)
        read = QueryAttention(*layers, name="cross")(queries, tokens, key_mask, train)
        queries = layer_norm("cross_norm", dtype)(queries + read)
        exchanged = QueryAttention(*layers, name="self")(queries, queries, None, train)
        queries = layer_norm("self_norm", dtype)(queries + exchanged)
        hidden = Linear(4 * width, dtype=dtype, kernel_init=xavier_init, name="expand")(queries)
        hidden = nn.gelu(hidden, approximate=False)
        hidden = nn.Dropout(dropout_rate, deterministic=not train)(hidden)
        hidden = Linear(width, dtype=dtype, kernel_init=xavier_init, name="contract")(hidden)
        queries = layer_norm("mlp_norm", dtype)(queries + hidden)
        embedding = queries.astype(jnp.float32).mean(axis=1)
        if self.settings.arcface:
            return Linear(width, kernel_init=xavier_init, name="projection")(embedding)
        return embedding


class QueryAttention(nn.Module):
    """Cross-attention from queries to tokens, with biases, as in the original heads."""

    num_heads: int
    dtype: jnp.dtype
    dropout_rate: float

    @nn.compact
    def __call__(
        self, queries: jax.Array, tokens: jax.Array, token_mask: jax.Array | None, train: bool
    ) -> jax.Array:
        """Attend from [B, Q, D] to [B, T, D] where ``token_mask`` [B, T] is True."""
        # Dropout is applied to attention weights, each separately, as PyTorch does.
        drops = train and self.dropout_rate > 0
        mixed = nn.dot_product_attention(
            self._heads(queries, "query"),
            self._heads(tokens, "key"),
            self._heads(tokens, "value"),
            mask=None if token_mask is None else token_mask[:, None, None, :],
            broadcast_dropout=False,
            dropout_rng=self.make_rng("dropout") if drops else None,
            dropout_rate=self.dropout_rate,
            deterministic=not drops,
            dtype=self.dtype,
        )
        return self._linear(queries.shape[-1], "out")(mixed.reshape(queries.shape))

    def _heads(self, tokens: jax.Array, name: str) -> jax.Array:
        """Project [B, T, D] to heads [B, T, h, d]."""
        projected = self._linear(tokens.shape[-1], name)(tokens)
        return projected.reshape(*tokens.shape[:-1], self.num_heads, -1)

    def _linear(self, width: int, name: str) -> Linear:
        return Linear(width, dtype=self.dtype, kernel_init=xavier_init, name=name)
