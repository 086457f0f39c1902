"""Multi-head self-attention within a sequence, full or within blocks of time."""

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.attention import (
    ATTENTION,
    MultiHeadAttention,
    attend_by_xla,
    mean_weights,
)
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.kernels.rotary import project_and_rotate
from physio_mae_jax.models.layers import SplitMatmul
from physio_mae_jax.models.local_attention import LocalAttention
from physio_mae_jax.models.mixers.base import Geometry, SequenceShape
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.models.residual import ResidualBranch
from physio_mae_jax.models.rotary import Rotation, rotate


class Attention(MultiHeadAttention):
    """Multi-head self-attention within a sequence, fused by ``jax.nn.dot_product_attention``.

    With several time blocks, ``LocalAttention``.
    """

    supports_joint: ClassVar[bool] = True
    supports_ragged_rows: ClassVar[bool] = True
    sows_received_weights: ClassVar[bool] = True

    @nn.compact
    def __call__(self, tokens: jax.Array, geometry: Geometry) -> ResidualBranch:
        """Attend over the K · R tokens of each sequence of [B, M, K, R, D]."""
        batch, sequences, columns, rows, width = tokens.shape
        near = LocalAttention.of(columns, rows, self.settings.num_time_blocks)
        rotation = Rotation(*(jnp.repeat(angle, sequences, axis=0) for angle in geometry.rotation))
        key_mask = geometry.token_mask
        if key_mask is not None:
            key_mask = jnp.repeat(key_mask.reshape(batch, -1), sequences, axis=0)
        query, key, value = self._queries_keys_and_values(
            tokens.reshape(batch * sequences, columns * rows, width), rotation
        )
        query, key, value = (
            save_for_backward(query),
            save_for_backward(key),
            save_for_backward(value),
        )
        if self.sow_weights:
            received = _received(query, key, key_mask, near)
            self.sow(ATTENTION, "received", received.reshape(tokens.shape[:-1]))
        is_xla = self.settings.attention_implementation == "xla"
        attend = attend_by_xla if is_xla else attend_by_cudnn
        mixed = attend(
            near.queries(query),
            near.keys(key),
            near.keys(value),
            near.key_mask(key_mask, batch * sequences),
        )
        return self.join_heads(near.merge_blocks(save_for_backward(mixed)), tokens.shape)

    @classmethod
    def operations(cls, settings: BlockConfig, shape: SequenceShape) -> float:
        """Count the linear layers, and the two products over pairs of query and key."""
        pairs = shape.num_tokens**2
        if settings.num_time_blocks > 1:
            columns = math.ceil(shape.num_tokens / shape.num_rows)
            pairs = LocalAttention.of(columns, shape.num_rows, settings.num_time_blocks).num_pairs
        linear = cls.linear_operations(settings, shape.width)
        return shape.num_sequences * (shape.num_tokens * linear + 4 * shape.width * pairs)

    def _queries_keys_and_values(
        self, tokens: jax.Array, rotation: Rotation
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Project [B, T, D] to queries, keys and values [B, T, h, d]; rotate the first two."""
        cfg = self.settings
        if cfg.attention_implementation == "fused":
            last = SplitMatmul(
                3 * tokens.shape[-1], cfg.attention_rank_ratio, cfg.dtype, name="qkv"
            )
            return project_and_rotate(*last(tokens), rotation, cfg.num_heads)
        query, key, value = (
            part[:, :, 0] for part in jnp.split(self.split_heads(tokens), 3, axis=2)
        )
        return rotate(query, rotation), rotate(key, rotation), value


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
    weights = mean_weights(
        near.queries(query), near.keys(key), near.key_mask(query_mask, query.shape[0])
    )
    total = near.scatter_add(jnp.einsum("bq,bqk->bk", near.queries(counted), weights))
    return total / counted.sum(axis=1, keepdims=True)


def attend_by_cudnn(
    query: jax.Array, key: jax.Array, value: jax.Array, key_mask: jax.Array | None
) -> jax.Array:
    """Attend from [B, T, h, d] to keys [B, J, h, d] by cuDNN.

    cuDNN trains on even T and J only, and handles masks poorly.
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
