"""Multi-head attention: its linear layers, and attention across channels.

Attention within a sequence is a time mixer, ``mixers.attention`` (models.md#attention-and-blocks).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.kernels.channel_attention import MAX_CHANNELS, attend_across_channels
from physio_mae_jax.models.layers import SeparateBias, linear_operations, make_linear
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.models.residual import ResidualBranch

# Collection of sown attention weights, see ``ChannelAttention`` and ``mixers.base``.
ATTENTION = "attention"


class MultiHeadAttention(nn.Module):
    """Linear layers shared by attention within a sequence and across channels."""

    settings: BlockConfig

    @classmethod
    def linear_operations(cls, settings: BlockConfig, width: int) -> int:
        """Count the operations of the linear layers for one token."""
        ratio = settings.attention_rank_ratio
        return linear_operations(width, 3 * width, ratio) + linear_operations(width, width, ratio)

    def split_heads(self, tokens: jax.Array) -> jax.Array:
        """Project [..., D] to queries, keys and values: [..., 3, h, d]."""
        cfg, width = self.settings, 3 * tokens.shape[-1]
        layer = make_linear(width, cfg.attention_rank_ratio, cfg.dtype, "qkv", use_bias=False)
        return layer(tokens).reshape(*tokens.shape[:-1], 3, cfg.num_heads, -1)

    def join_heads(self, mixed: jax.Array, shape: tuple[int, ...]) -> ResidualBranch:
        """Project mixed heads [..., h, d] to a residual branch of ``shape`` [..., D]."""
        cfg, width = self.settings, shape[-1]
        flat = mixed.reshape(shape)
        if cfg.attention_rank_ratio:
            layer = make_linear(width, cfg.attention_rank_ratio, cfg.dtype, "output")
            return ResidualBranch(layer(flat))
        return ResidualBranch(*SeparateBias(width, cfg.dtype, name="output")(flat))

    @property
    def sow_weights(self) -> bool:
        """Whether the caller requests attention weights (``ATTENTION`` is mutable).

        During initialization every collection is mutable, and none is requested.
        """
        return self.is_mutable_collection(ATTENTION) and not self.is_initializing()


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
            self.sow(ATTENTION, "pairs", mean_weights(query, key, key_mask))
        is_kernel = self.settings.attention_implementation == "fused"
        is_kernel = is_kernel and tokens.shape[1] <= MAX_CHANNELS
        attend = attend_across_channels if is_kernel else _plain_across_channels
        branch = self.join_heads(save_for_backward(attend(qkv, channel_mask)), tokens.shape)
        return branch.masked(_exchanges(channel_mask))

    @classmethod
    def operations(cls, settings: BlockConfig, num_channels: int, width: int) -> int:
        """Count the floating-point operations for one token in one forward pass."""
        return cls.linear_operations(settings, width) + 4 * width * num_channels


def _plain_across_channels(qkv: jax.Array, channel_mask: jax.Array) -> jax.Array:
    """XLA version of ``attend_across_channels``: [B, M, T, 3, h, d] -> [B, M, T, h, d]."""
    batch, channels, positions = qkv.shape[:3]
    (query, key, value), key_mask = _sorted_by_position(qkv, channel_mask)
    mixed = attend_by_xla(query, key, value, key_mask)
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


def mean_weights(query: jax.Array, key: jax.Array, key_mask: jax.Array | None) -> jax.Array:
    """Compute the weight of each key for each query, averaged over heads.

    Args:
        query: [B, T, h, d].
        key: [B, J, h, d].
        key_mask: [B, J] bool, False = never attended to; None for all True.

    Returns:
        [B, T, J] float32.
    """
    logits = jnp.einsum("bqhd,bkhd->bhqk", query, key).astype(jnp.float32)
    if key_mask is not None:
        logits = jnp.where(key_mask[:, None, None, :], logits, -jnp.inf)
    return jax.nn.softmax(logits * query.shape[-1] ** -0.5).mean(axis=1)


def attend_by_xla(
    query: jax.Array, key: jax.Array, value: jax.Array, key_mask: jax.Array | None
) -> jax.Array:
    """Attend from [B, T, h, d] to keys [B, J, h, d] by XLA."""
    mask = None if key_mask is None else key_mask[:, None, None, :]
    return jax.nn.dot_product_attention(query, key, value, mask=mask, implementation="xla")
