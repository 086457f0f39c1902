"""Heads that give logits of every sample of every channel from the tokens of its column."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig, SampleHead, xavier_init
from physio_mae_jax.models.layers import Linear, convolution_init, layer_norm

# Features of a sample, and samples that a convolution reaches.
_NUM_FEATURES = 16
_KERNEL_SAMPLES = 9


class LinearSampleHead(nn.Module):
    """One layer from the tokens of a column, side by side, to the logits of its samples."""

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, signal: jax.Array) -> jax.Array:
        """Map latents [B, M, W, H, D] to logits [B, M, L, Y]; see ``base.SampleHead``."""
        del signal
        return _SampleFeatures(self.model.patch_samples, self.settings.num_classes, name="samples")(
            latents, token_mask
        )


class ConvolutionSampleHead(nn.Module):
    """Features of each sample from the tokens of its column, beside the signal, convolved in time.

    The convolution makes the logits of neighboring samples agree, also across columns, and lets
    them depend on the waveform at the resolution of its samples.
    """

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, signal: jax.Array) -> jax.Array:
        """Map latents [B, M, W, H, D] and signal [B, M, L] to logits [B, M, L, Y]."""
        features = _SampleFeatures(self.model.patch_samples, _NUM_FEATURES, name="samples")(
            latents, token_mask
        )
        valid = jnp.repeat(token_mask.any(axis=-1), self.model.patch_samples, axis=2)
        signal = jnp.where(valid, signal, 0.0)[..., None].astype(features.dtype)
        hidden = jnp.concatenate([features, signal], axis=-1)
        batch, channels, samples, _ = hidden.shape
        hidden = nn.Conv(
            _NUM_FEATURES, (_KERNEL_SAMPLES,), kernel_init=convolution_init, name="convolution"
        )(hidden.reshape(batch * channels, samples, -1))
        hidden = nn.gelu(hidden, approximate=False)
        logits = Linear(self.settings.num_classes, kernel_init=xavier_init, name="output")(hidden)
        return logits.reshape(batch, channels, samples, -1)


class _SampleFeatures(nn.Module):
    """Features of each sample of a column from its tokens: normalized, side by side, one layer."""

    patch_samples: int
    num_features: int

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array) -> jax.Array:
        """Map latents [B, M, W, H, D] to features [B, M, L, F] float32, zeros at masked tokens."""
        batch, channels, columns, rows, width = latents.shape
        tokens = layer_norm("norm", jnp.dtype("float32"))(latents.astype(jnp.float32))
        side_by_side = tokens.reshape(batch, channels, columns, rows * width)
        size = self.patch_samples * self.num_features
        features = Linear(size, kernel_init=xavier_init, name="output")(side_by_side)
        features = jnp.where(token_mask.any(axis=-1)[..., None], features, 0.0)
        return features.reshape(batch, channels, columns * self.patch_samples, self.num_features)


# Heads of tasks that label samples, by the name that head.kind gives.
SAMPLE_HEADS: dict[str, type[SampleHead]] = {
    "linear": LinearSampleHead,
    "convolution": ConvolutionSampleHead,
}
