"""Attention within and across sequences, and an MLP (models.md#attention-and-blocks)."""

from typing import NamedTuple, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from physio_mae_jax.models.attention import Attention, ChannelAttention, MultiHeadAttention
from physio_mae_jax.models.config import AttentionImplementation
from physio_mae_jax.models.layers import Mlp
from physio_mae_jax.models.local_attention import LocalAttention
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.models.residual import ResidualBranch, ResidualNorm, TemporalSmoothing
from physio_mae_jax.models.rotary import Rotation
from physio_mae_jax.signals.data_parallel import shard_map_batch

_Kind = TypeVar("_Kind", bound=MultiHeadAttention)


class BlockConfig(NamedTuple):
    """Settings shared by the blocks of a stack.

    Attributes:
        num_heads: Number of heads of both attentions.
        dtype: Compute type.
        attention_implementation: Backend of attention, norms, smoothing and MLP, see ``MaeConfig``.
        mlp_rank_ratio, attention_rank_ratio: 0 for full matrices, see ``LowRankDense``.
        channel_attention: Whether to attend across channels.
        channel_smoothing: Whether to smooth along time before channel attention.
        num_time_blocks: Number of time blocks of a sequence, see ``LocalAttention``.
    """

    num_heads: int
    dtype: jnp.dtype
    attention_implementation: AttentionImplementation = "xla"
    mlp_rank_ratio: float = 0.0
    attention_rank_ratio: float = 0.0
    channel_attention: bool = True
    channel_smoothing: bool = True
    num_time_blocks: int = 1


class Block(nn.Module):
    """Attention within, then across sequences, then an MLP (models.md#attention-and-blocks).

    With a sequence for each channel this is the factorized block of v3. With the tokens of all
    channels in one sequence there is nothing to exchange, and it is the joint block of v1, of v2
    and of the original decoder.

    Attributes:
        settings: Settings shared with the other blocks of the stack.
        pin_layout: Keep tokens in memory in the order of their axes, as a loop over layers does; in
            unrolled layers the layout of one gather would otherwise propagate through all of them.
    """

    settings: BlockConfig
    pin_layout: bool = False

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        rotation: Rotation,
        sequence_mask: jax.Array,
        token_mask: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        """Mix [B, M, K, R, D]: M sequences of K time positions with R tokens each.

        Args:
            tokens: [B, M, K, R, D].
            rotation: Rotary angles of the K · R tokens of a sequence, [B, K · R, d / 2].
            sequence_mask: [B, M] bool, True = present. Absent sequences do not affect the others.
            token_mask: [B, K, R] bool, False = padding, the same for all sequences; None if all
                are valid.

        Returns:
            (tokens, None), the carry and output that ``nn.scan`` expects.
        """
        cfg = self.settings
        if self.pin_layout:
            tokens = shard_map_batch(_in_order_of_axes, tokens)
        batch, sequences, positions, rows, width = tokens.shape
        key_mask = None
        if token_mask is not None:
            key_mask = jnp.repeat(token_mask.reshape(batch, -1), sequences, axis=0)
        tokens, normed = self._norm("time_norm")(tokens)
        branch = self._attention(Attention, "time_attention")(
            normed.reshape(batch * sequences, positions * rows, width),
            Rotation(*(jnp.repeat(angle, sequences, axis=0) for angle in rotation)),
            key_mask,
            LocalAttention.of(positions, rows, cfg.num_time_blocks),
        )
        if sequences > 1 and cfg.channel_attention:
            tokens = save_for_backward(branch.added_to(tokens))
            tokens, branch = self._across_channels(tokens, sequence_mask, token_mask)
        tokens, normed = self._norm("mlp_norm")(tokens, branch)
        mlp = Mlp(cfg.dtype, cfg.mlp_rank_ratio, self._is_fused, name="mlp")
        return tokens + mlp(normed), None

    @property
    def _is_fused(self) -> bool:
        return self.settings.attention_implementation == "fused"

    def _norm(self, name: str) -> ResidualNorm:
        return ResidualNorm(self.settings.dtype, self._is_fused, name=name)

    def _attention(self, kind: type[_Kind], name: str) -> _Kind:
        cfg = self.settings
        return kind(
            cfg.num_heads,
            cfg.dtype,
            cfg.attention_implementation,
            cfg.attention_rank_ratio,
            name=name,
        )

    def _across_channels(
        self, tokens: jax.Array, channel_mask: jax.Array, token_mask: jax.Array | None
    ) -> tuple[jax.Array, ResidualBranch]:
        """Return tokens [B, M, K, R, D] and the channel attention branch."""
        batch, channels, positions, rows, width = tokens.shape
        smoothing = None
        if self.settings.channel_smoothing:
            smoothing = TemporalSmoothing(name="smoothing")(width)
        valid = tokens
        if token_mask is not None:
            valid = tokens * token_mask[:, None, :, :, None].astype(tokens.dtype)
        passed, normed = self._norm("channel_norm")(valid, smoothing=smoothing)
        branch = self._attention(ChannelAttention, "channel_attention")(
            normed.reshape(batch, channels, positions * rows, width), channel_mask
        )
        return passed if token_mask is None else tokens, branch


def _in_order_of_axes(tokens: jax.Array) -> jax.Array:
    """Constrain an array to row-major layout."""
    return with_layout_constraint(tokens, Layout(tuple(range(tokens.ndim))))
