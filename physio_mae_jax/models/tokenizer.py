"""From a signal to tokens: wavelet patches and waveform columns, embedded and fused."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layers import convolution_init, layer_norm
from physio_mae_jax.signals import patches, wavelet
from physio_mae_jax.signals.channels import VOCABULARY


class Tokenizer(nn.Module):
    """Embed columns: wavelet patches plus the waveform, broadcast over rows (spec.md §2)."""

    config: MaeConfig

    @nn.compact
    def __call__(
        self,
        signal: jax.Array,
        column_ids: jax.Array | None,
        channel_ids: jax.Array,
        num_valid_columns: jax.Array | None,
    ) -> jax.Array:
        """Embed the columns ``column_ids`` [B, K] (None: all) of [B, M, L] as [B, M, K, H, D]."""
        cfg = self.config
        num_valid = None if num_valid_columns is None else num_valid_columns * cfg.patch_samples
        scalogram = wavelet.scalogram(signal, cfg.wavelet, cfg.sampling_rate_hz, num_valid)
        boxes = patches.scalogram_patches(
            scalogram, cfg.patch_scales, cfg.patch_samples, column_ids
        )
        columns = patches.signal_columns(_z_score(signal, num_valid), cfg.patch_samples)
        position = self.param(
            "position", nn.initializers.normal(0.02), (cfg.num_columns, cfg.num_rows, cfg.width)
        )[None]
        if column_ids is not None:
            columns = patches.take_columns(columns, column_ids, axis=2)
            position = jnp.take(position[0], column_ids, axis=0)
        tokens = self._project("wavelet", boxes) + self._project("waveform", columns)[:, :, :, None]
        tokens = tokens + position[:, None].astype(cfg.dtype)
        if cfg.channel_identity:
            identity = nn.Embed(
                len(VOCABULARY),
                cfg.width,
                embedding_init=nn.initializers.normal(0.02),
                name="channel",
            )(channel_ids)
            tokens = tokens + identity[:, :, None, None].astype(cfg.dtype)
        return tokens

    def _project(self, name: str, values: jax.Array) -> jax.Array:
        """Map the last axis to D and normalise: a convolution whose kernel equals its stride."""
        cfg = self.config
        projected = nn.Dense(
            cfg.width, dtype=cfg.dtype, kernel_init=convolution_init, name=f"{name}_projection"
        )(values.astype(cfg.dtype))
        return layer_norm(f"{name}_norm", cfg.dtype)(projected)


def _z_score(signal: jax.Array, num_valid: jax.Array | None) -> jax.Array:
    """Normalise [B, M, L] over its valid samples: unbiased deviation, floor 1e-5 (spec.md §2)."""
    valid = jnp.ones((1, signal.shape[-1]), bool)
    if num_valid is not None:
        valid = jnp.arange(signal.shape[-1]) < num_valid[:, None]
    weight = valid[:, None, :].astype(jnp.float32)
    count = weight.sum(axis=-1, keepdims=True)
    centred = signal - (signal * weight).sum(axis=-1, keepdims=True) / count
    variance = (jnp.square(centred) * weight).sum(axis=-1, keepdims=True) / (count - 1)
    return centred / jnp.maximum(jnp.sqrt(variance), 1e-5)
