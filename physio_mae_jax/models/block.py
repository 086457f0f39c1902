"""A mixer within sequences, attention across them, and an MLP (models.md#attention-and-blocks)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from physio_mae_jax.models.attention import ChannelAttention
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.layers import Mlp
from physio_mae_jax.models.mixers import MIXERS
from physio_mae_jax.models.mixers.base import Geometry
from physio_mae_jax.models.mixers.carried_recurrence import RECURRENT
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.models.residual import (
    DROP_PATH,
    DepthwiseKernel,
    ResidualBranch,
    ResidualNorm,
    TemporalSmoothing,
)
from physio_mae_jax.signals.data_parallel import shard_map_batch


class Block(nn.Module):
    """A time mixer within, attention across sequences, an MLP (models.md#attention-and-blocks).

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
        geometry: Geometry,
        sequence_mask: jax.Array,
    ) -> tuple[jax.Array, None]:
        """Mix [B, M, K, R, D]: M sequences of K time positions with R tokens each.

        Args:
            tokens: [B, M, K, R, D].
            geometry: Times, rotary angles and mask of the tokens.
            sequence_mask: [B, M] bool, True = present. Absent sequences do not affect the others.

        Returns:
            (tokens, None), the carry and output that ``nn.scan`` expects.
        """
        cfg = self.settings
        if self.pin_layout:
            tokens = shard_map_batch(_in_order_of_axes, tokens)
        tokens, normed = self._norm("time_norm")(tokens)
        mixer = MIXERS[cfg.time_mixer](cfg, name=time_mixer_name(cfg.time_mixer))
        branch = mixer(normed, geometry).scaled(self._drop_path(tokens.shape[0]))
        if tokens.shape[1] > 1 and cfg.channel_attention:
            tokens = save_for_backward(branch.added_to(tokens))
            tokens, branch = self._across_channels(tokens, sequence_mask, geometry)
            branch = branch.scaled(self._drop_path(tokens.shape[0]))
        tokens, normed = self._norm("mlp_norm")(tokens, branch)
        mlp = Mlp(cfg.dtype, cfg.mlp_rank_ratio, self._is_fused, name="mlp")
        branch = ResidualBranch(mlp(normed)).scaled(self._drop_path(tokens.shape[0]))
        return branch.added_to(tokens), None

    def _drop_path(self, batch: int) -> jax.Array | None:
        """Draw the factor [B] of a branch: 0 if it is dropped; None without drop path."""
        rate = self.settings.drop_path_rate
        if not rate or not self.has_rng(DROP_PATH):
            return None
        kept = jax.random.bernoulli(self.make_rng(DROP_PATH), 1 - rate, (batch,))
        return kept.astype(jnp.float32) / (1 - rate)

    @property
    def _is_fused(self) -> bool:
        return self.settings.attention_implementation == "fused"

    def _norm(self, name: str) -> ResidualNorm:
        return ResidualNorm(self.settings.dtype, self._is_fused, name=name)

    def _across_channels(
        self, tokens: jax.Array, channel_mask: jax.Array, geometry: Geometry
    ) -> tuple[jax.Array, ResidualBranch]:
        """Return tokens [B, M, K, R, D] and the channel attention branch."""
        batch, channels, positions, rows, width = tokens.shape
        valid, token_mask = tokens, geometry.token_mask
        if token_mask is not None:
            valid = tokens * token_mask[:, None, :, :, None].astype(tokens.dtype)
        smoothing = None
        if self.settings.channel_smoothing:
            smoothing = self._limited(TemporalSmoothing(name="smoothing")(width), geometry)
            if self.has_variable(RECURRENT, "column"):
                smoothing = smoothing._replace(before=self.get_variable(RECURRENT, "column"))
                self.put_variable(RECURRENT, "column", valid[:, :, -1:])
        passed, normed = self._norm("channel_norm")(valid, smoothing=smoothing)
        branch = ChannelAttention(self.settings, name="channel_attention")(
            normed.reshape(batch, channels, positions * rows, width), channel_mask
        )
        return passed if token_mask is None else tokens, branch

    def _limited(self, smoothing: DepthwiseKernel, geometry: Geometry) -> DepthwiseKernel:
        """Let the smoothing not read beyond a block of ``lookahead_columns``."""
        size = self.settings.lookahead_columns
        if not size:
            return smoothing
        blocks = geometry.times[:, :, 0] // size
        following = jnp.concatenate([blocks[:, 1:], blocks[:, -1:]], axis=1)
        return smoothing._replace(is_last=blocks != following)


def time_mixer_name(time_mixer: str) -> str:
    """Return the name of a mixer's parameters within a block."""
    return f"time_{time_mixer}"


def _in_order_of_axes(tokens: jax.Array) -> jax.Array:
    """Constrain an array to row-major layout."""
    return with_layout_constraint(tokens, Layout(tuple(range(tokens.ndim))))
