"""An encoder over whole windows, and a head that gives a class to every sample of every channel."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.heads.base import xavier_init
from physio_mae_jax.models.layers import Linear, layer_norm
from physio_mae_jax.models.window_batch import Windows

# Kinds of ``HeadConfig`` that a task of level 'sample' can have.
SAMPLE_HEADS = ("linear",)


class SampleHead(nn.Module):
    """Logits of the samples of a column from its tokens: normalized, side by side, one layer."""

    patch_samples: int
    num_classes: int

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        """Map latents [B, M, W, H, D] to logits [B, M, W · pt, Y] float32."""
        batch, channels, columns, rows, width = latents.shape
        tokens = layer_norm("norm", jnp.dtype("float32"))(latents.astype(jnp.float32))
        columns_of_tokens = tokens.reshape(batch, channels, columns, rows * width)
        size = self.patch_samples * self.num_classes
        logits = Linear(size, kernel_init=xavier_init, name="output")(columns_of_tokens)
        return logits.reshape(batch, channels, columns * self.patch_samples, self.num_classes)


class Segmenter(nn.Module):
    """An encoder over whole windows, and a class for every sample of every channel."""

    config: MaeConfig
    num_classes: int

    def setup(self) -> None:
        """Create the submodules."""
        self.encoder = TransformerEncoder(self.config)
        self.head = SampleHead(self.config.patch_samples, self.num_classes)

    def __call__(
        self, windows: Windows, labels: jax.Array | None = None, train: bool = False
    ) -> jax.Array:
        """Classify samples: logits [B, M, L, Y] float32, undefined in absent channels and padding.

        Args:
            windows: Windows of M channels.
            labels, train: Unused; for models with a margin or with dropout.
        """
        del labels, train
        return self.head(self.encoder.grid(windows))
