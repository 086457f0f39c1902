"""The decoder: mask tokens at masked positions, a stack, and output heads of both domains."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layers import Linear, convolution_init, gelu, layer_norm, linear_init
from physio_mae_jax.models.stack import (
    Stack,
    join_channels,
    mix_joint,
    scatter_tokens,
    split_channels,
)
from physio_mae_jax.models.tokenizer import channel_embedding
from physio_mae_jax.signals import patches


class Reconstruction(NamedTuple):
    """Predictions for P columns.

    Attributes:
        patches: [B, M, P, H, C · pf · pt] normalized scalogram, float32.
        waveform: [B, M, P, pt] z-scored samples, float32.
        embedding: [B, E] embedding of the whole example, from contrastive models; else None.
        latents: [B, M, P, H, D] latents of the encoder, float32; None without ``latent_head``.
    """

    patches: jax.Array
    waveform: jax.Array
    embedding: jax.Array | None = None
    latents: jax.Array | None = None


class Heads(nn.Module):
    """Predict scalogram patches and samples from tokens (models.md#decoder-and-output-heads)."""

    config: MaeConfig

    @nn.compact
    def __call__(self, tokens: jax.Array) -> Reconstruction:
        """Map tokens [B, M, P, H, Dd] to both predictions."""
        cfg = self.config
        boxes = Linear(cfg.patch_size, dtype=cfg.dtype, kernel_init=linear_init, name="patch")(
            tokens
        )
        rows = tokens.reshape(*tokens.shape[:3], -1)
        column = Linear(
            cfg.decoder_width, dtype=cfg.dtype, kernel_init=convolution_init, name="time_reducer"
        )(rows)
        column = gelu(column)
        if cfg.waveform_head_norm:
            column = layer_norm("time_norm", cfg.dtype)(column)
        samples = Linear(cfg.patch_samples, dtype=cfg.dtype, kernel_init=linear_init, name="time")(
            column
        )
        latents = None
        if cfg.latent_head:
            head = Linear(cfg.width, dtype=cfg.dtype, kernel_init=linear_init, name="latent")
            latents = head(tokens).astype(jnp.float32)
        return Reconstruction(
            boxes.astype(jnp.float32), samples.astype(jnp.float32), latents=latents
        )


class Decoder(nn.Module):
    """Predict masked columns from visible tokens (models.md#decoder-and-output-heads)."""

    config: MaeConfig

    @nn.compact
    def __call__(
        self,
        latents: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array,
        predicted_ids: jax.Array | None,
        masked_channels: jax.Array | None,
    ) -> Reconstruction:
        """Predict the columns ``predicted_ids`` [B, P] (None: all) from latents.

        ``latents`` and ``visible_ids`` are in the forms of ``models.mae``; ``masked_channels``
        [B, M] bool are masked entirely.
        """
        cfg = self.config
        embedded = Linear(
            cfg.decoder_width, dtype=cfg.dtype, kernel_init=linear_init, name="embed"
        )(latents)
        mask_token = self.param("mask_token", nn.initializers.normal(0.02), (cfg.decoder_width,))
        mask_token = mask_token.astype(cfg.dtype)
        front = embedded[:, :1] if cfg.class_token else None
        visible = embedded[:, 1:] if cfg.class_token else embedded
        tokens = restore_grid(visible, visible_ids, mask_token, channel_mask.shape[1], cfg)
        if masked_channels is not None:
            tokens = jnp.where(masked_channels[:, :, None, None, None], mask_token, tokens)
        position = self.param(
            "position",
            nn.initializers.normal(0.02),
            (cfg.num_columns, cfg.num_rows, cfg.decoder_width),
        )
        tokens = tokens + position.astype(cfg.dtype)
        if cfg.decoder_channel_embedding:
            tokens = tokens + channel_embedding(channel_ids, cfg.decoder_width, cfg, "channel")
        columns = None
        if num_decoded_columns(cfg, visible_ids, predicted_ids) < cfg.num_columns:
            assert predicted_ids is not None
            columns = jnp.sort(jnp.concatenate([visible_ids, predicted_ids], axis=1), axis=1)
            tokens = patches.take_columns(tokens, columns, axis=2)
            predicted_ids = jax.vmap(jnp.searchsorted)(columns, predicted_ids)
        tokens = self._mix(tokens, columns, front, channel_mask)
        if predicted_ids is not None:
            tokens = patches.take_columns(tokens, predicted_ids, axis=2)
        return Heads(cfg, name="heads")(tokens)

    def _mix(
        self,
        tokens: jax.Array,
        column_ids: jax.Array | None,
        front: jax.Array | None,
        channel_mask: jax.Array,
    ) -> jax.Array:
        """Run the stack on columns [B, M, K, H, Dd] and the class token [B, 1, Dd], if any.

        ``column_ids`` [B, K] are the columns; None for all W.
        """
        cfg = self.config
        batch, _, columns, rows, _ = tokens.shape
        settings = cfg.decoder_blocks
        stack = Stack(settings, cfg.decoder_depth, cfg.remat, cfg.unroll_layers, name="stack")
        if cfg.decoder_attention == "factorized":
            ids = jnp.arange(columns) if column_ids is None else column_ids
            times = jnp.broadcast_to(ids[..., None], (batch, columns, rows))
            return stack(tokens, times, channel_mask)
        sequence = join_channels(tokens)
        ids = jnp.broadcast_to(jnp.arange(sequence.shape[1]), sequence.shape[:2])
        token_mask = jnp.repeat(channel_mask, cfg.num_tokens, axis=1)
        if front is not None:
            front = self._insert_class_token(front, channel_mask.shape[1])
        mixed = mix_joint(stack, sequence, ids, token_mask, front, cfg)
        return split_channels(mixed if front is None else mixed[:, 1:], rows, columns)

    def _insert_class_token(self, token: jax.Array, num_channels: int) -> jax.Array:
        """Add its position to the class token [B, 1, Dd] if the config requires it."""
        cfg = self.config
        position = self.param("class_position", nn.initializers.normal(0.02), (cfg.decoder_width,))
        adds = {"always": True, "never": False, "one_channel": num_channels == 1}
        return token + position.astype(cfg.dtype) if adds[cfg.decoder_class_position] else token


def num_decoded_columns(
    cfg: MaeConfig, visible_ids: jax.Array, predicted_ids: jax.Array | None
) -> int:
    """Return the number of columns that the decoder processes, W or fewer.

    It omits masked columns that are not predicted (``objective.predicted_share``), unless single
    tokens are masked or a sequence joins the channels.
    """
    factorized = cfg.encoder_attention == cfg.decoder_attention == "factorized"
    if predicted_ids is None or visible_ids.ndim != 2 or not factorized:
        return cfg.num_columns
    return min(cfg.num_columns, visible_ids.shape[1] + predicted_ids.shape[1])


def restore_grid(
    visible: jax.Array,
    visible_ids: jax.Array,
    mask_token: jax.Array,
    num_channels: int,
    cfg: MaeConfig,
) -> jax.Array:
    """Scatter visible tokens to their grid positions; fill the others with the mask token.

    Args:
        visible: [B, M, K, R, D], or [B, T, D] of a joint encoder.
        visible_ids: Positions of the visible tokens, in the forms of ``models.mae``.
        mask_token: [D].
        num_channels: Number of channels M.
        cfg: Model config; defines the grid size.

    Returns:
        [B, M, W, H, D].
    """
    batch = len(visible)
    if cfg.encoder_attention == "joint":
        total = num_channels * cfg.num_tokens
        sequence = scatter_tokens(visible[:, None], visible_ids, mask_token, total)[:, 0]
        return split_channels(sequence, cfg.num_rows, cfg.num_columns)
    if visible_ids.ndim == 2:
        return scatter_tokens(visible, visible_ids, mask_token, cfg.num_columns)
    flat = visible.reshape(batch, num_channels, -1, visible.shape[-1])
    grid = scatter_tokens(flat, visible_ids.reshape(batch, -1), mask_token, cfg.num_tokens)
    return grid.reshape(batch, num_channels, cfg.num_columns, cfg.num_rows, -1)
