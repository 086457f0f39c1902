"""The encoder: a tokenizer, and a stack over per-channel sequences or one joint sequence."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.stack import (
    Stack,
    join_channels,
    mix_joint,
    split_channels,
)
from physio_mae_jax.models.tokenizer import NormalizedColumns, Tokenizer
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.signals import patches


class TransformerEncoder(nn.Module):
    """Tokenizer and stack; see ``models.mae`` for the forms of ``visible_ids``."""

    config: MaeConfig

    def setup(self) -> None:
        """Create the submodules."""
        cfg = self.config
        self.tokenizer = Tokenizer(cfg)
        settings = cfg.encoder_blocks
        self.stack = Stack(settings, cfg.depth, cfg.remat, cfg.unroll_layers)
        if cfg.class_token:
            self.class_token = self.param("class_token", nn.initializers.normal(0.02), (cfg.width,))

    def __call__(self, windows: Windows, visible_ids: jax.Array | None) -> jax.Array:
        """Encode visible tokens; arguments and result as in ``MaskedAutoencoder.encode``."""
        signal = jnp.where(windows.channel_mask[:, :, None], windows.signal, 0.0)
        windows = windows._replace(signal=signal)
        if self.config.encoder_attention == "joint":
            return self._joint(self.tokenizer(windows, None), windows, visible_ids)
        whole_columns = visible_ids if visible_ids is not None and visible_ids.ndim == 2 else None
        return self._factorized(self.tokenizer(windows, whole_columns), windows, visible_ids)

    def grid(self, windows: Windows) -> jax.Array:
        """Encode whole windows: latents [B, M, W, H, D] of any encoder, class token excluded."""
        cfg = self.config
        latents = self(windows, None)
        if cfg.encoder_attention == "factorized":
            return latents
        patches_only = latents[:, 1:] if cfg.class_token else latents
        return split_channels(patches_only, cfg.num_rows, cfg.num_columns)

    def columns(
        self, normalized: NormalizedColumns, windows: Windows, column_mask: jax.Array
    ) -> jax.Array:
        """Encode columns of a recording of any length: latents [B, M, K, H, D].

        Args:
            normalized: The columns.
            windows: Names of the channels; their signal is not used.
            column_mask: [B, K] bool, False = missing, which affects no other column; the latents
                are undefined there.
        """
        tokens = self.tokenizer(windows, None, normalized)
        batch, _, columns, rows, _ = tokens.shape
        times = jnp.broadcast_to(jnp.arange(columns)[:, None], (batch, columns, rows))
        token_mask = jnp.broadcast_to(column_mask[:, :, None], times.shape)
        return self.stack(tokens, times, windows.channel_mask, token_mask)

    def _factorized(
        self, tokens: jax.Array, windows: Windows, visible_ids: jax.Array | None
    ) -> jax.Array:
        """Encode one sequence per channel: [B, M, K, R, D]."""
        cfg = self.config
        batch, channels, columns, rows, width = tokens.shape
        if visible_ids is None:
            times = jnp.broadcast_to(jnp.arange(columns)[:, None], (batch, columns, rows))
        elif visible_ids.ndim == 2:
            times = jnp.broadcast_to(visible_ids[:, :, None], (batch, columns, rows))
        else:
            times = visible_ids // cfg.num_rows
            flat = tokens.reshape(batch, channels, columns * rows, width)
            taken = patches.take_columns(flat, visible_ids.reshape(batch, -1), axis=2)
            tokens = taken.reshape(batch, channels, *visible_ids.shape[1:], width)
        token_mask = None
        if windows.num_valid_columns is not None:
            token_mask = times < windows.num_valid_columns[:, None, None]
        return self.stack(tokens, times, windows.channel_mask, token_mask)

    def _joint(
        self, tokens: jax.Array, windows: Windows, visible_ids: jax.Array | None
    ) -> jax.Array:
        """Encode all channels as one sequence: [B, T, D], the class token's latent first."""
        cfg = self.config
        sequence = join_channels(tokens)
        batch, total, width = sequence.shape
        if visible_ids is None:
            ids = jnp.broadcast_to(jnp.arange(total), (batch, total))
        else:
            ids = visible_ids
            sequence = patches.take_columns(sequence, ids, axis=1)
        token_mask = jnp.take_along_axis(windows.channel_mask, ids // cfg.num_tokens, axis=1)
        if windows.num_valid_columns is not None:
            token_mask &= ids % cfg.num_columns < windows.num_valid_columns[:, None]
        front = None
        if cfg.class_token:
            front = jnp.broadcast_to(self.class_token.astype(cfg.dtype), (batch, 1, width))
        return mix_joint(self.stack, sequence, ids, token_mask, front, cfg)
