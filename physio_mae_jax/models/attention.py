"""Attention within a sequence and across channels (models.md#attention-and-blocks)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import AttentionImplementation
from physio_mae_jax.models.kernels.channel_attention import MAX_CHANNELS, attend_across_channels
from physio_mae_jax.models.kernels.rotary import project_and_rotate
from physio_mae_jax.models.layers import DenseParams, SplitMatmul, linear
from physio_mae_jax.models.local_attention import LocalAttention
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.models.residual import ResidualBranch
from physio_mae_jax.models.rotary import Rotation, rotate

ATTENTION = "attention"  # collection of sown attention weights, see both classes


class MultiHeadAttention(nn.Module):
    """Linear layers shared by attention within a sequence and across channels."""

    num_heads: int
    dtype: jnp.dtype
    implementation: AttentionImplementation = "xla"
    rank_ratio: float = 0.0

    def split_heads(self, tokens: jax.Array) -> jax.Array:
        """Project [..., D] to queries, keys and values: [..., 3, h, d]."""
        width = 3 * tokens.shape[-1]
        qkv = linear(width, self.rank_ratio, self.dtype, "qkv", use_bias=False)(tokens)
        return qkv.reshape(*tokens.shape[:-1], 3, self.num_heads, -1)

    def join_heads(self, mixed: jax.Array, shape: tuple[int, ...]) -> ResidualBranch:
        """Project mixed heads [..., h, d] to a residual branch of ``shape`` [..., D]."""
        flat = mixed.reshape(shape)
        if self.rank_ratio:
            return ResidualBranch(linear(shape[-1], self.rank_ratio, self.dtype, "output")(flat))
        kernel, bias = DenseParams(shape[-1], self.dtype, name="output")(shape[-1])
        return ResidualBranch(jnp.dot(flat, kernel), bias)

    @property
    def sow_weights(self) -> bool:
        """Whether the caller requests attention weights (``ATTENTION`` is mutable).

        During initialisation every collection is mutable, and none is requested.
        """
        return self.is_mutable_collection(ATTENTION) and not self.is_initializing()


class Attention(MultiHeadAttention):
    """Multi-head self-attention within a sequence, fused by ``jax.nn.dot_product_attention``.

    If the collection ``ATTENTION`` is mutable, the weight each key receives, averaged over heads
    and queries, is sown there as 'received' [B, T].
    """

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        rotation: Rotation,
        key_mask: jax.Array | None,
        near: LocalAttention,
    ) -> ResidualBranch:
        """Attend over T and return what is added to [B, T, D].

        Args:
            tokens: [B, T, D].
            rotation: Rotary angles of queries and keys.
            key_mask: [B, T] bool, False = never attended to; None for all True.
            near: Local attention pattern.
        """
        query, key, value = self._queries_keys_and_values(tokens, rotation)
        query, key, value = (
            save_for_backward(query),
            save_for_backward(key),
            save_for_backward(value),
        )
        if self.sow_weights:
            self.sow(ATTENTION, "received", _received(query, key, key_mask, near))
        attend = _plain if self.implementation == "xla" else _by_cudnn
        mixed = attend(
            near.queries(query),
            near.keys(key),
            near.keys(value),
            near.key_mask(key_mask, tokens.shape[0]),
        )
        return self.join_heads(near.merge_blocks(save_for_backward(mixed)), tokens.shape)

    def _queries_keys_and_values(
        self, tokens: jax.Array, rotation: Rotation
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Project [B, T, D] to queries, keys and values [B, T, h, d]; rotate the first two."""
        if self.implementation == "fused":
            last = SplitMatmul(3 * tokens.shape[-1], self.rank_ratio, self.dtype, name="qkv")
            return project_and_rotate(*last(tokens), rotation, self.num_heads)
        query, key, value = (
            part[:, :, 0] for part in jnp.split(self.split_heads(tokens), 3, axis=2)
        )
        return rotate(query, rotation), rotate(key, rotation), value


class ChannelAttention(MultiHeadAttention):
    """Multi-head self-attention across the channels of each position.

    If 'fused' (NVIDIA GPUs), computed by the kernel of ``kernels.channel_attention``. If the
    collection ``ATTENTION`` is mutable, the attention weights, averaged over heads, are sown there
    as 'pairs' [B · T, M, M].
    """

    @nn.compact
    def __call__(self, tokens: jax.Array, channel_mask: jax.Array) -> ResidualBranch:
        """Attend over M and return what is added to tokens.

        A single channel has nothing to exchange: with M = 1 attention is skipped, and a single
        present channel among absent ones gives the same result as M = 1.

        Args:
            tokens: [B, M, T, D].
            channel_mask: [B, M] bool, False = never attended to.
        """
        qkv = save_for_backward(self.split_heads(tokens))
        if self.sow_weights:
            (query, key, _), key_mask = _sorted_by_position(qkv, channel_mask)
            self.sow(ATTENTION, "pairs", _weights(query, key, key_mask))
        is_kernel = self.implementation == "fused" and tokens.shape[1] <= MAX_CHANNELS
        attend = attend_across_channels if is_kernel else _plain_across_channels
        branch = self.join_heads(save_for_backward(attend(qkv, channel_mask)), tokens.shape)
        return branch.masked(_exchanges(channel_mask))


def _plain_across_channels(qkv: jax.Array, channel_mask: jax.Array) -> jax.Array:
    """XLA version of ``attend_across_channels``: [B, M, T, 3, h, d] -> [B, M, T, h, d]."""
    batch, channels, positions = qkv.shape[:3]
    (query, key, value), key_mask = _sorted_by_position(qkv, channel_mask)
    mixed = _plain(query, key, value, key_mask)
    mixed = mixed.reshape(batch, positions, channels, *mixed.shape[2:]).swapaxes(1, 2)
    return mixed * _exchanges(channel_mask)[:, None, None, None, None].astype(mixed.dtype)


def _exchanges(channel_mask: jax.Array) -> jax.Array:
    """Return which examples have at least two present channels, [B, M] -> [B] bool."""
    return channel_mask.sum(axis=1) > 1


def _sorted_by_position(qkv: jax.Array, channel_mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Make a sequence of each position: [B, M, T, 3, h, d] -> [3, B · T, M, h, d], [B · T, M]."""
    heads = qkv.swapaxes(1, 2)
    heads = heads.reshape(-1, *heads.shape[2:])
    return jnp.moveaxis(heads, 2, 0), jnp.repeat(channel_mask, qkv.shape[2], axis=0)


def _weights(query: jax.Array, key: jax.Array, key_mask: jax.Array | None) -> jax.Array:
    """Return the weight of each key for each query, averaged over heads: [B, T, S] float32."""
    logits = jnp.einsum("bqhd,bkhd->bhqk", query, key).astype(jnp.float32)
    if key_mask is not None:
        logits = jnp.where(key_mask[:, None, None, :], logits, -jnp.inf)
    return jax.nn.softmax(logits * query.shape[-1] ** -0.5).mean(axis=1)


def _received(
    query: jax.Array, key: jax.Array, query_mask: jax.Array | None, near: LocalAttention
) -> jax.Array:
    """Return the weight that each token receives, averaged over heads and valid queries.

    Args:
        query, key: [B, T, h, d].
        query_mask: [B, T] bool, True for valid queries and keys; None for all.
        near: Local attention pattern.

    Returns:
        [B, T] float32.
    """
    counted = jnp.ones(query.shape[:2])
    if query_mask is not None:
        counted = query_mask.astype(jnp.float32)
    weights = _weights(
        near.queries(query), near.keys(key), near.key_mask(query_mask, query.shape[0])
    )
    total = near.scatter_add(jnp.einsum("bq,bqk->bk", near.queries(counted), weights))
    return total / counted.sum(axis=1, keepdims=True)


def _plain(
    query: jax.Array, key: jax.Array, value: jax.Array, key_mask: jax.Array | None
) -> jax.Array:
    """Attend from [B, T, h, d] to keys [B, S, h, d] by XLA."""
    mask = None if key_mask is None else key_mask[:, None, None, :]
    return jax.nn.dot_product_attention(query, key, value, mask=mask, implementation="xla")


def _by_cudnn(
    query: jax.Array, key: jax.Array, value: jax.Array, key_mask: jax.Array | None
) -> jax.Array:
    """Attend from [B, T, h, d] to keys [B, S, h, d] by cuDNN.

    cuDNN trains on even T and S only, and handles masks poorly.
    """
    batch, length = query.shape[:2]
    num_keys = None
    if key_mask is not None:
        # It takes a number of leading keys instead of a mask; the order of keys is free, so
        # the valid ones are moved to the front.
        order = jnp.argsort(~key_mask, axis=1, stable=True)[:, :, None, None]
        key, value = (jnp.take_along_axis(array, order, axis=1) for array in (key, value))
        # A block of padding only attends to one key, so that its result is finite.
        num_keys = jnp.maximum(key_mask.sum(axis=1, dtype=jnp.int32), 1)
    elif key.shape[1] % 2:
        num_keys = jnp.full(batch, key.shape[1], jnp.int32)
    mixed = jax.nn.dot_product_attention(
        _even(query),
        _even(key),
        _even(value),
        key_value_seq_lengths=num_keys,
        implementation="cudnn",
    )
    return mixed[:, :length]


def _even(tokens: jax.Array) -> jax.Array:
    """Pad [B, T, h, d] with a token of zeros to an even length."""
    return jnp.pad(tokens, [(0, 0), (0, tokens.shape[1] % 2), (0, 0), (0, 0)])
