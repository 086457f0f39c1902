"""Classification heads over an encoder's tokens (models.md#classification-heads)."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.layers import layer_norm
from physio_mae_jax.models.mae import pool_tokens
from physio_mae_jax.setting_ranges import check_fields

_xavier = nn.initializers.xavier_uniform()


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Choice of the head.

    Attributes:
        kind: 'linear' (mean token, LayerNorm, linear), 'attention' (the same over a mean weighted
            by a learned query in each head), 'reasoning' (learned queries that attend to the
            tokens, then to each other) or 'residual_mlp' (the head of the original v2).
        num_classes: Number of outputs.
        num_queries: Number of learned queries of the reasoning head.
        dropout_rate: Dropout rate of the reasoning head in training.
        hidden_width, num_blocks: Size of the residual MLP.
        arcface: Use angles to class vectors instead of a final linear layer.
        arcface_scale, arcface_margin: s and m (radians) of Deng et al. 2019.
    """

    kind: str = "linear"
    num_classes: int = 1
    num_queries: int = 16
    dropout_rate: float = 0.2
    hidden_width: int = 512
    num_blocks: int = 2
    arcface: bool = False
    arcface_scale: float = 30.0
    arcface_margin: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, "head")
        if self.kind == "residual_mlp" and self.arcface:
            raise ConfigError(
                "head.arcface=True needs the features of head.kind 'linear' or 'reasoning'; "
                "got 'residual_mlp'. Change one of them."
            )


class _QueryAttention(nn.Module):
    """Cross-attention from queries to tokens, with biases, as in the original heads."""

    num_heads: int
    dtype: jnp.dtype
    dropout_rate: float

    @nn.compact
    def __call__(
        self, queries: jax.Array, tokens: jax.Array, token_mask: jax.Array | None, train: bool
    ) -> jax.Array:
        """Attend from [B, Q, D] to [B, T, D] where ``token_mask`` [B, T] is True."""
        # nn.MultiHeadDotProductAttention applies dropout to attention weights, as PyTorch does.
        attend = nn.MultiHeadDotProductAttention(
            self.num_heads,
            dtype=self.dtype,
            kernel_init=_xavier,
            dropout_rate=self.dropout_rate,
            broadcast_dropout=False,
            name="attention",
        )
        mask = None if token_mask is None else token_mask[:, None, None, :]
        return attend(queries, tokens, tokens, mask=mask, deterministic=not train)


class ReasoningHead(nn.Module):
    """Learned queries attend to the tokens, then to each other; their mean is classified.

    Called latent chain of thought in the original; post-norm throughout.
    """

    num_outputs: int
    num_heads: int
    num_queries: int
    dropout_rate: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, tokens: jax.Array, token_mask: jax.Array, train: bool = False) -> jax.Array:
        """Map tokens [B, T, D] with their mask [B, T] to [B, num_outputs]."""
        batch, _, width = tokens.shape
        start = self.param("queries", nn.initializers.normal(0.02), (self.num_queries, width))
        queries = jnp.broadcast_to(start.astype(self.dtype), (batch, self.num_queries, width))
        settings = (self.num_heads, self.dtype, self.dropout_rate)
        read = _QueryAttention(*settings, name="cross")(queries, tokens, token_mask, train)
        queries = layer_norm("cross_norm", self.dtype)(queries + read)
        exchanged = _QueryAttention(*settings, name="self")(queries, queries, None, train)
        queries = layer_norm("self_norm", self.dtype)(queries + exchanged)
        hidden = nn.Dense(4 * width, dtype=self.dtype, kernel_init=_xavier, name="expand")(queries)
        hidden = nn.gelu(hidden, approximate=False)
        hidden = nn.Dropout(self.dropout_rate, deterministic=not train)(hidden)
        hidden = nn.Dense(width, dtype=self.dtype, kernel_init=_xavier, name="contract")(hidden)
        queries = layer_norm("mlp_norm", self.dtype)(queries + hidden)
        decided = queries.astype(jnp.float32).mean(axis=1)
        return nn.Dense(self.num_outputs, kernel_init=_xavier, name="output")(decided)


class AttentionPool(nn.Module):
    """Mean of the tokens, weighted separately in each head by a learned query."""

    num_heads: int

    @nn.compact
    def __call__(self, tokens: jax.Array, token_mask: jax.Array) -> jax.Array:
        """Map tokens [B, T, D] with their mask [B, T] to [B, D] float32."""
        batch, count, width = tokens.shape
        tokens = layer_norm("norm", jnp.dtype("float32"))(tokens.astype(jnp.float32))
        # Zero initialisation gives the plain mean.
        scores = nn.Dense(self.num_heads, kernel_init=nn.initializers.zeros, name="query")(tokens)
        scores = jnp.where(token_mask[:, :, None], scores, -jnp.inf)
        weights = jax.nn.softmax(scores, axis=1)
        heads = tokens.reshape(batch, count, self.num_heads, -1)
        return jnp.einsum("bth,bthd->bhd", weights, heads).reshape(batch, width)


class ResidualMlpHead(nn.Module):
    """LayerNorm, a projection, residual MLP blocks, LayerNorm, a linear layer (v2, no queries)."""

    num_outputs: int
    hidden_width: int
    num_blocks: int

    @nn.compact
    def __call__(self, pooled: jax.Array) -> jax.Array:
        """Map [B, D] to [B, num_outputs]."""

        def dense(width: int, name: str) -> nn.Dense:
            return nn.Dense(width, kernel_init=_xavier, name=name)

        hidden = dense(self.hidden_width, "project")(
            layer_norm("norm", jnp.dtype("float32"))(pooled)
        )
        hidden = nn.gelu(hidden, approximate=False)
        for i in range(self.num_blocks):
            inner = layer_norm(f"block_{i}_norm", jnp.dtype("float32"))(hidden)
            inner = dense(self.hidden_width, f"block_{i}_first")(inner)
            inner = nn.gelu(inner, approximate=False)
            hidden = hidden + dense(self.hidden_width, f"block_{i}_second")(inner)
        hidden = layer_norm("output_norm", jnp.dtype("float32"))(hidden)
        return dense(self.num_outputs, "output")(hidden)


class ArcFace(nn.Module):
    """Logits from angles to class vectors, with a margin on the target (Deng et al. 2019)."""

    num_classes: int
    scale: float
    margin: float

    @nn.compact
    def __call__(self, features: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """Map [B, D] to logits [B, num_classes]; the margin is applied at ``labels`` [B] int."""
        classes = self.param("classes", _xavier, (features.shape[-1], self.num_classes))
        cosine = _unit(features, -1) @ _unit(classes, 0)
        if labels is None:
            return self.scale * cosine
        sine = jnp.sqrt(jnp.clip(1 - jnp.square(cosine), 1e-12, 1.0))
        harder = cosine * jnp.cos(self.margin) - sine * jnp.sin(self.margin)
        # Past pi - m the cosine of the enlarged angle would rise again; continue linearly.
        line = cosine - self.margin * jnp.sin(jnp.pi - self.margin)
        harder = jnp.where(cosine > jnp.cos(jnp.pi - self.margin), harder, line)
        right = jax.nn.one_hot(labels, self.num_classes, dtype=bool)
        return self.scale * jnp.where(right, harder, cosine)


def _unit(vectors: jax.Array, axis: int) -> jax.Array:
    norm = jnp.linalg.norm(vectors, axis=axis, keepdims=True)
    return vectors / jnp.maximum(norm, 1e-12)


class Classifier(nn.Module):
    """An encoder over whole windows, and a head."""

    config: MaeConfig
    head_config: HeadConfig

    def setup(self) -> None:
        """Create the submodules."""
        cfg, head = self.config, self.head_config
        self.encoder = TransformerEncoder(cfg)
        self.head: Any  # one of the heads of this module, or a linear layer
        num_outputs = cfg.width if head.arcface else head.num_classes
        if head.kind == "reasoning":
            self.head = ReasoningHead(
                num_outputs, cfg.num_heads, head.num_queries, head.dropout_rate, cfg.dtype
            )
        elif head.kind == "residual_mlp":
            self.head = ResidualMlpHead(num_outputs, head.hidden_width, head.num_blocks)
        else:
            if head.kind == "attention":
                self.pool = AttentionPool(cfg.num_heads)
            self.norm = layer_norm("norm", jnp.dtype("float32"))
            if not head.arcface:
                self.head = nn.Dense(num_outputs, kernel_init=_xavier)
        if head.arcface:
            self.arcface = ArcFace(head.num_classes, head.arcface_scale, head.arcface_margin)

    def features(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        *,
        num_valid_columns: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Return the head's output for a window: features [B, D] with ArcFace, else the logits."""
        latents = self.encoder.grid(signal, channel_mask, channel_ids, num_valid_columns)
        tokens = latents.reshape(len(latents), -1, latents.shape[-1])
        if self.head_config.kind == "reasoning":
            return self.head(tokens, self._token_mask(channel_mask, num_valid_columns), train)
        if self.head_config.kind == "attention":
            pooled = self.pool(tokens, self._token_mask(channel_mask, num_valid_columns))
        else:
            pooled = pool_tokens(latents, channel_mask, num_valid_columns)
        if self.head_config.kind == "residual_mlp":
            return self.head(pooled)
        normed = self.norm(pooled)
        return normed if self.head_config.arcface else self.head(normed)

    def _token_mask(
        self, channel_mask: jax.Array, num_valid_columns: jax.Array | None
    ) -> jax.Array:
        """Return which tokens hold signal: [B, M · W · H] bool."""
        cfg = self.config
        token_mask = jnp.repeat(channel_mask, cfg.num_tokens, axis=1)
        if num_valid_columns is None:
            return token_mask
        valid = jnp.arange(cfg.num_columns) < num_valid_columns[:, None]
        valid = jnp.repeat(valid, cfg.num_rows, axis=1)
        return token_mask & jnp.tile(valid, (1, channel_mask.shape[1]))

    def __call__(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        labels: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Classify windows [B, M, L]: logits [B, num_classes] float32.

        Args:
            signal, channel_mask, channel_ids: As in ``MaskedAutoencoder.encode``.
            labels: [B] int, for the margin of ArcFace in training; unused without ArcFace.
            train: Whether to apply dropout (needs a 'dropout' key).
        """
        features = self.features(signal, channel_mask, channel_ids, train=train)
        return self.arcface(features, labels) if self.head_config.arcface else features
