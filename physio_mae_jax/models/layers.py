"""Attention, MLP, low-rank layers and the block (spec.md §4)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import AttentionImplementation
from physio_mae_jax.models.rotary import Rotation, rotate

_NORM_EPSILON = 1e-5
ATTENTION = "attention"  # the collection of what is attended to, see ``Attention``

# Linear layers: normal of deviation .02 cut at two deviations (spec.md §8).
linear_init = nn.initializers.truncated_normal(0.02)
# Layers that were convolutions keep the uniform ±1/sqrt(fan in) of spec.md §8.
convolution_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class LowRankDense(nn.Module):
    """A linear layer whose matrix is a product of two thin ones (spec.md §4, "tensorized").

    The rank is ``rank_ratio`` times the smaller side, 32 at least; the first factor has no bias.
    """

    features: int
    rank_ratio: float
    dtype: jnp.dtype
    use_bias: bool = True

    @nn.compact
    def __call__(self, values: jax.Array) -> jax.Array:
        """Map [..., D] to [..., features]."""
        init = nn.initializers.xavier_uniform()
        rank = low_rank(values.shape[-1], self.features, self.rank_ratio)
        inner = nn.Dense(rank, use_bias=False, dtype=self.dtype, kernel_init=init, name="reduce")
        outer = nn.Dense(
            self.features,
            use_bias=self.use_bias,
            dtype=self.dtype,
            kernel_init=init,
            name="restore",
        )
        return outer(inner(values))


def low_rank(size_in: int, size_out: int, rank_ratio: float) -> int:
    """Return the rank of a low-rank layer (spec.md §4)."""
    return max(32, int(min(size_in, size_out) * rank_ratio))


def _linear(
    features: int, rank_ratio: float, dtype: jnp.dtype, name: str, use_bias: bool = True
) -> nn.Module:
    """Make a linear layer, of low rank unless ``rank_ratio`` is 0."""
    if rank_ratio:
        return LowRankDense(features, rank_ratio, dtype, use_bias, name=name)
    return nn.Dense(features, use_bias=use_bias, dtype=dtype, kernel_init=linear_init, name=name)


class Attention(nn.Module):
    """Multi-head self-attention, fused by ``jax.nn.dot_product_attention``.

    Where the collection ``ATTENTION`` is mutable, it also keeps who attends to whom there, averaged
    over heads: 'pairs' [B, T, T] for each query and key, or 'received' [B, T] for each key alone.
    """

    num_heads: int
    dtype: jnp.dtype
    implementation: AttentionImplementation = "xla"
    rank_ratio: float = 0.0
    keeps: str = "received"

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        rotation: Rotation | None = None,
        key_mask: jax.Array | None = None,
    ) -> jax.Array:
        """Attend over T.

        Args:
            tokens: [B, T, D].
            rotation: angles for queries and keys; None for no position.
            key_mask: [B, T] bool, False = never attended to; None for all True.
        """
        width = tokens.shape[-1]
        qkv = _linear(3 * width, self.rank_ratio, self.dtype, "qkv", use_bias=False)(tokens)
        heads = qkv.reshape(*tokens.shape[:-1], 3, self.num_heads, width // self.num_heads)
        query, key, value = heads[..., 0, :, :], heads[..., 1, :, :], heads[..., 2, :, :]
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        # While parameters are made every collection may be written to, and none is asked for.
        if self.is_mutable_collection(ATTENTION) and not self.is_initializing():
            weights = _weights(query, key, key_mask)
            kept = weights if self.keeps == "pairs" else _received(weights, key_mask)
            self.sow(ATTENTION, self.keeps, kept)
        attend = _fused if self.implementation == "cudnn" else _plain
        mixed = attend(query, key, value, key_mask)
        return _linear(width, self.rank_ratio, self.dtype, "output")(mixed.reshape(tokens.shape))


def _weights(query: jax.Array, key: jax.Array, key_mask: jax.Array | None) -> jax.Array:
    """Return the weight of each key for each query, averaged over heads: [B, T, T] float32."""
    logits = jnp.einsum("bqhd,bkhd->bhqk", query, key).astype(jnp.float32)
    if key_mask is not None:
        logits = jnp.where(key_mask[:, None, None, :], logits, -jnp.inf)
    return jax.nn.softmax(logits * query.shape[-1] ** -0.5).mean(axis=1)


def _received(weights: jax.Array, query_mask: jax.Array | None) -> jax.Array:
    """Average weights [B, T, T] over the queries that count: [B, T]."""
    if query_mask is None:
        return weights.mean(axis=1)
    counted = query_mask.astype(jnp.float32)
    return jnp.einsum("bq,bqk->bk", counted, weights) / counted.sum(axis=1, keepdims=True)


def _plain(
    query: jax.Array, key: jax.Array, value: jax.Array, key_mask: jax.Array | None
) -> jax.Array:
    """Attend among [B, T, h, d] by XLA."""
    mask = None if key_mask is None else key_mask[:, None, None, :]
    return jax.nn.dot_product_attention(query, key, value, mask=mask, implementation="xla")


def _fused(
    query: jax.Array, key: jax.Array, value: jax.Array, key_mask: jax.Array | None
) -> jax.Array:
    """Attend among [B, T, h, d] by cuDNN, which trains on even T only and dislikes masks."""
    batch, length = query.shape[:2]
    num_keys = None
    if key_mask is not None:
        # It takes a number of leading keys instead of a mask; the order of keys is free, so
        # those to attend to are put in front.
        order = jnp.argsort(~key_mask, axis=1, stable=True)[:, :, None, None]
        key, value = (jnp.take_along_axis(array, order, axis=1) for array in (key, value))
        num_keys = key_mask.sum(axis=1, dtype=jnp.int32)
    elif length % 2:
        num_keys = jnp.full(batch, length, jnp.int32)
    if length % 2:
        even = [(0, 0), (0, 1), (0, 0), (0, 0)]
        query, key, value = (jnp.pad(array, even) for array in (query, key, value))
    mixed = jax.nn.dot_product_attention(
        query, key, value, key_value_seq_lengths=num_keys, implementation="cudnn"
    )
    return mixed[:, :length]


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between, four times as wide inside."""

    dtype: jnp.dtype
    rank_ratio: float = 0.0

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map [..., D] to [..., D]."""
        width = tokens.shape[-1]
        hidden = _linear(4 * width, self.rank_ratio, self.dtype, "expand")(tokens)
        hidden = nn.gelu(hidden, approximate=False)
        return _linear(width, self.rank_ratio, self.dtype, "contract")(hidden)


class TemporalSmoothing(nn.Module):
    """Depth-wise convolution of three taps along the time columns of each frequency row.

    Among visible columns the neighbours are the nearest visible ones in time.
    """

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Smooth [B, M, K, H, D] along K, with zeros past both ends."""
        width = tokens.shape[-1]
        bound = 3**-0.5
        kernel = self.param("kernel", _uniform(bound), (3, width)).astype(self.dtype)
        bias = self.param("bias", _uniform(bound), (width,)).astype(self.dtype)
        padded = jnp.pad(tokens, [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0)])
        earlier, later = padded[:, :, :-2], padded[:, :, 2:]
        return kernel[0] * earlier + kernel[1] * tokens + kernel[2] * later + bias


def _uniform(bound: float) -> Callable[..., jax.Array]:
    def init(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return init


def layer_norm(name: str, dtype: jnp.dtype) -> nn.LayerNorm:
    """Make the LayerNorm used throughout."""
    return nn.LayerNorm(epsilon=_NORM_EPSILON, dtype=dtype, name=name)


class BlockSettings(NamedTuple):
    """What the blocks of a stack are made of.

    Attributes:
        num_heads: of both attentions.
        dtype: of the computation.
        attention_implementation: of the attention within a sequence.
        mlp_rank_ratio, attention_rank_ratio: 0 for full matrices, see ``LowRankDense``.
        channel_attention: attend across channels.
        channel_smoothing: smooth along time before that.
    """

    num_heads: int
    dtype: jnp.dtype
    attention_implementation: AttentionImplementation = "xla"
    mlp_rank_ratio: float = 0.0
    attention_rank_ratio: float = 0.0
    channel_attention: bool = True
    channel_smoothing: bool = True


class Block(nn.Module):
    """Attention within each sequence, then across sequences, then an MLP (spec.md §4).

    With a sequence for each channel this is the factorized block of v3. With the tokens of all
    channels in one sequence there is nothing to exchange, and it is the joint block of v1, of v2
    and of the original decoder.
    """

    settings: BlockSettings

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        rotation: Rotation,
        sequence_mask: jax.Array,
        token_mask: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        """Mix [B, M, K, R, D]: M sequences of K places in time with R tokens each.

        Args:
            tokens: [B, M, K, R, D].
            rotation: angles for the K · R tokens of a sequence, [B, K · R, d / 2].
            sequence_mask: [B, M] bool, True = present. Absent sequences reach no other one.
            token_mask: [B, K, R] bool, False = padding, the same for all sequences; None = all
                are valid.

        Returns:
            (tokens, None): the form ``nn.scan`` wants of a carry.
        """
        cfg = self.settings
        batch, sequences, places, rows, width = tokens.shape
        flat = tokens.reshape(batch * sequences, places * rows, width)
        key_mask = None
        if token_mask is not None:
            key_mask = jnp.repeat(token_mask.reshape(batch, -1), sequences, axis=0)
        mixed = self._attention("time_attention", cfg.attention_implementation)(
            layer_norm("time_norm", cfg.dtype)(flat),
            Rotation(*(jnp.repeat(angle, sequences, axis=0) for angle in rotation)),
            key_mask,
        )
        tokens = tokens + mixed.reshape(tokens.shape)
        if sequences > 1 and cfg.channel_attention:
            tokens = tokens + self._across_channels(tokens, sequence_mask, token_mask)
        normed = layer_norm("mlp_norm", cfg.dtype)(tokens)
        return tokens + Mlp(cfg.dtype, cfg.mlp_rank_ratio, name="mlp")(normed), None

    def _attention(
        self, name: str, implementation: AttentionImplementation, keeps: str = "received"
    ) -> Attention:
        cfg = self.settings
        return Attention(
            cfg.num_heads, cfg.dtype, implementation, cfg.attention_rank_ratio, keeps, name=name
        )

    def _across_channels(
        self, tokens: jax.Array, channel_mask: jax.Array, token_mask: jax.Array | None
    ) -> jax.Array:
        """Return what each channel receives from the others at the same place, [B, M, K, R, D]."""
        cfg = self.settings
        batch, channels, places, rows, width = tokens.shape
        if token_mask is not None:
            tokens = tokens * token_mask[:, None, :, :, None].astype(tokens.dtype)
        if cfg.channel_smoothing:
            tokens = TemporalSmoothing(cfg.dtype, name="smoothing")(tokens)
        meeting = tokens.reshape(batch, channels, places * rows, width).swapaxes(1, 2)
        meeting = layer_norm("channel_norm", cfg.dtype)(meeting)
        # XLA, not cuDNN: sequences of a dozen channels are too short for the fused kernel to pay.
        mixed = self._attention("channel_attention", "xla", "pairs")(
            meeting.reshape(-1, channels, width),
            key_mask=jnp.repeat(channel_mask, places * rows, axis=0),
        )
        mixed = mixed.reshape(batch, places * rows, channels, width).swapaxes(1, 2)
        # One channel has nothing to exchange, so a lone channel among absent ones must come out
        # as if they were not there: where M = 1 the branch is skipped.
        exchanges = channel_mask.sum(axis=1) > 1
        mixed = mixed * exchanges[:, None, None, None].astype(mixed.dtype)
        return mixed.reshape(tokens.shape)
