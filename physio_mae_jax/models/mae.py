"""The masked autoencoder v3: fused wavelet and waveform tokens, factorized encoder and decoder.

The parts, in the order data meets them::

    Tokenizer   signal [B, M, L] -> tokens of the wanted columns [B, M, K, H, D]
    Encoder     visible tokens -> latents [B, M, K, H, D]
    Decoder     latents + mask tokens -> predictions for the hidden columns

Which columns are visible is an argument: the model draws nothing at random.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layers import (
    FactorizedBlock,
    JointBlock,
    convolution_init,
    layer_norm,
    linear_init,
    rotary_rotation,
)
from physio_mae_jax.models.tokenizer import Tokenizer
from physio_mae_jax.signals import patches

_BLOCKS = {"factorized": FactorizedBlock, "joint": JointBlock}
# What is kept of a block's forward pass for its backward pass.
_REMAT_POLICIES = {
    "matmuls": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


class Reconstruction(NamedTuple):
    """What the decoder predicts for P columns.

    Attributes:
        patches: [B, M, P, H, C · pf · pt] normalised scalogram, float32.
        waveform: [B, M, P, pt] z-scored samples, float32.
    """

    patches: jax.Array
    waveform: jax.Array


class Stack(nn.Module):
    """``depth`` blocks scanned over stacked parameters, and a final LayerNorm."""

    config: MaeConfig
    block: type[nn.Module]
    depth: int
    num_heads: int

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        column_ids: jax.Array,
        channel_mask: jax.Array,
        num_valid_columns: jax.Array | None = None,
    ) -> jax.Array:
        """Mix [B, M, K, H, D] whose columns lie at ``column_ids`` [B, K]."""
        cfg = self.config
        head_dim = tokens.shape[-1] // self.num_heads
        rotation = rotary_rotation(jnp.repeat(column_ids, cfg.num_rows, axis=1), head_dim)
        block = self.block
        if cfg.remat != "none":
            block = nn.remat(block, prevent_cse=False, policy=_REMAT_POLICIES[cfg.remat])
        # One compiled block serves all layers; its parameters carry a leading axis of layers.
        blocks = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=self.depth,
        )(self.num_heads, cfg.dtype, cfg.attention_implementation, name="blocks")
        tokens, _ = blocks(tokens, rotation, channel_mask, num_valid_columns)
        return layer_norm("norm", cfg.dtype)(tokens)


def restore_order(
    visible: jax.Array, mask_token: jax.Array, visible_ids: jax.Array, hidden_ids: jax.Array
) -> jax.Array:
    """Put visible columns back in order of time, the mask token in every hidden place.

    Every channel is restored by itself; mixing the channels' axes here is defect D1.

    Args:
        visible: [B, M, K, H, D].
        mask_token: [D].
        visible_ids: [B, K].
        hidden_ids: [B, W - K], the other columns.

    Returns:
        [B, M, W, H, D].
    """
    batch, channels, _, rows, width = visible.shape
    hidden = jnp.broadcast_to(mask_token, (batch, channels, hidden_ids.shape[1], rows, width))
    order = jnp.argsort(jnp.concatenate([visible_ids, hidden_ids], axis=1), axis=1)
    return patches.take_columns(jnp.concatenate([visible, hidden], axis=2), order, axis=2)


class Decoder(nn.Module):
    """Put mask tokens where columns are hidden, mix, and predict them (spec.md §6)."""

    config: MaeConfig

    @nn.compact
    def __call__(
        self,
        latents: jax.Array,
        visible_ids: jax.Array,
        hidden_ids: jax.Array,
        channel_mask: jax.Array,
        predicted_ids: jax.Array,
    ) -> Reconstruction:
        """Predict the columns ``predicted_ids`` [B, P] from latents [B, M, K, H, D]."""
        cfg = self.config
        visible = nn.Dense(
            cfg.decoder_width, dtype=cfg.dtype, kernel_init=linear_init, name="embed"
        )(latents)
        mask_token = self.param("mask_token", nn.initializers.normal(0.02), (cfg.decoder_width,))
        tokens = restore_order(visible, mask_token.astype(cfg.dtype), visible_ids, hidden_ids)
        position = self.param(
            "position",
            nn.initializers.normal(0.02),
            (cfg.num_columns, cfg.num_rows, cfg.decoder_width),
        )
        tokens = tokens + position.astype(cfg.dtype)
        columns = jnp.broadcast_to(jnp.arange(cfg.num_columns), (tokens.shape[0], cfg.num_columns))
        tokens = Stack(
            cfg,
            _BLOCKS[cfg.decoder_attention],
            cfg.decoder_depth,
            cfg.decoder_num_heads,
            name="stack",
        )(tokens, columns, channel_mask)
        tokens = patches.take_columns(tokens, predicted_ids, axis=2)
        boxes = nn.Dense(
            cfg.patch_size, dtype=cfg.dtype, kernel_init=linear_init, name="patch_head"
        )(tokens)
        return Reconstruction(boxes.astype(jnp.float32), self._waveform(tokens))

    def _waveform(self, tokens: jax.Array) -> jax.Array:
        """Predict the samples of each column from its H rows: [B, M, P, H, Dd] -> [B, M, P, pt]."""
        cfg = self.config
        rows = tokens.reshape(*tokens.shape[:3], -1)
        column = nn.Dense(
            cfg.decoder_width, dtype=cfg.dtype, kernel_init=convolution_init, name="time_reducer"
        )(rows)
        column = layer_norm("time_norm", cfg.dtype)(nn.gelu(column, approximate=False))
        samples = nn.Dense(
            cfg.patch_samples, dtype=cfg.dtype, kernel_init=linear_init, name="time_head"
        )(column)
        return samples.astype(jnp.float32)


class MaskedAutoencoder(nn.Module):
    """CWT-MAE v3; see the module docstring for the flow."""

    config: MaeConfig

    def setup(self) -> None:
        """Name the three parts."""
        cfg = self.config
        self.tokenizer = Tokenizer(cfg)
        self.encoder = Stack(cfg, FactorizedBlock, cfg.depth, cfg.num_heads)
        self.decoder = Decoder(cfg)

    def encode(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array | None = None,
        num_valid_columns: jax.Array | None = None,
    ) -> jax.Array:
        """Encode the visible columns of a window.

        Args:
            signal: [B, M, L], M ≥ 1 channels in any order.
            channel_mask: [B, M] bool, True = present. What an absent channel holds is not read.
            channel_ids: [B, M] int, ``signals.channels.channel_id`` of each name.
            visible_ids: [B, K] columns seen, ascending; None for all of them.
            num_valid_columns: [B] columns at the front that hold signal, the rest being padding;
                None where the window is full. Only without ``visible_ids``.

        Returns:
            Latents [B, M, K, H, D]; those of absent channels and padding have no meaning.
        """
        signal = jnp.where(channel_mask[:, :, None], signal, 0.0)
        tokens = self.tokenizer(signal, visible_ids, channel_ids, num_valid_columns)
        if visible_ids is None:
            visible_ids = jnp.broadcast_to(
                jnp.arange(self.config.num_columns), (signal.shape[0], self.config.num_columns)
            )
        return self.encoder(tokens, visible_ids, channel_mask, num_valid_columns)

    def __call__(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array,
        hidden_ids: jax.Array,
        predicted_ids: jax.Array | None = None,
    ) -> Reconstruction:
        """Encode the visible columns and predict others.

        Args:
            signal: [B, M, L]; its hidden columns are read only by wavelets that reach into them.
            channel_mask: [B, M] bool, True = present.
            channel_ids: [B, M] int.
            visible_ids: [B, K] ascending.
            hidden_ids: [B, W - K] the other columns, ascending.
            predicted_ids: [B, P] columns to predict; None for the hidden ones.
        """
        latents = self.encode(signal, channel_mask, channel_ids, visible_ids)
        predicted_ids = hidden_ids if predicted_ids is None else predicted_ids
        return self.decoder(latents, visible_ids, hidden_ids, channel_mask, predicted_ids)


def pool_tokens(
    latents: jax.Array, channel_mask: jax.Array, num_valid_columns: jax.Array | None = None
) -> jax.Array:
    """Average latents [B, M, W, H, D] over what is present: [B, D] float32."""
    columns = jnp.arange(latents.shape[2])
    limit = latents.shape[2] if num_valid_columns is None else num_valid_columns[:, None]
    weight = (
        channel_mask[:, :, None]
        & jnp.broadcast_to(columns < limit, (latents.shape[0], latents.shape[2]))[:, None, :]
    )
    weight = weight.astype(jnp.float32)
    totals = jnp.where(weight[..., None, None] > 0, latents.astype(jnp.float32), 0.0)
    return totals.mean(axis=3).sum(axis=(1, 2)) / jnp.maximum(weight.sum(axis=(1, 2)), 1.0)[:, None]
