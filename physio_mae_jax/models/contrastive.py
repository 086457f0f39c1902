"""Single-tower contrastive model: one autoencoder for every modality, and two projections.

``Projection`` embeds the mean of all tokens, which tells whose window it is; ``StepProjection``
embeds short time steps, which tell when its beats are.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.decoder import Reconstruction
from physio_mae_jax.models.layers import Linear, convolution_init
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.signals.lagged_similarity import unit_sequences


class AlignedEmbedding(NamedTuple):
    """Both embeddings of whole examples.

    Attributes:
        pooled: [B, E], see ``Projection``.
        steps: [B, T, e], see ``StepProjection``.
    """

    pooled: jax.Array
    steps: jax.Array


class StepProjection(nn.Module):
    """Project the tokens of each column to several time steps (models.md#contrastive-loss).

    Attributes:
        steps: Steps per column.
        width: Numbers per step (e).
        temperature: Temperature of the logits.
    """

    steps: int
    width: int
    temperature: float

    @nn.compact
    def __call__(self, latents: jax.Array, valid: jax.Array) -> jax.Array:
        """Map latents [B, W, H, D] to T = W · steps vectors: [B, T, e] float32.

        The mean over time is zero and the norm over time the inverse square root of the
        temperature; steps of columns that are not ``valid`` [B, W] are zero.
        """
        batch, columns, _, width = latents.shape
        flat = latents.astype(jnp.float32).reshape(batch, columns, -1)
        hidden = Linear(width, kernel_init=convolution_init, name="expand")(flat)
        hidden = nn.gelu(hidden, approximate=False)
        projected = Linear(self.steps * self.width, kernel_init=convolution_init, name="contract")(
            hidden
        )
        sequences = projected.reshape(batch, columns * self.steps, self.width)
        unit = unit_sequences(sequences, jnp.repeat(valid, self.steps, axis=1))
        return unit * self.temperature**-0.5


class Projection(nn.Module):
    """Project pooled latents to the shared embedding space (models.md#contrastive-loss)."""

    width: int
    temperature: float
    temperature_is_learned: bool

    @nn.compact
    def __call__(self, pooled: jax.Array) -> jax.Array:
        """Map [B, D] to [B, E]: unit vectors divided by the square root of the temperature.

        The inner product of two of them is then cosine / temperature, a logit.
        """
        hidden = Linear(pooled.shape[-1], kernel_init=convolution_init, name="expand")(pooled)
        hidden = nn.gelu(hidden, approximate=False)
        projected = Linear(self.width, kernel_init=convolution_init, name="contract")(hidden)
        # Bounded before the root, whose derivative at the 0 of an absent channel is not finite.
        squared = (projected**2).sum(axis=-1, keepdims=True)
        norm = jnp.sqrt(jnp.maximum(squared, 1e-24))
        scale = jnp.asarray(self.temperature**-0.5)
        if self.temperature_is_learned:
            # Kept above 1/100, below which single pairs dominate the loss (Radford et al. 2021).
            log_scale = self.param("log_scale", nn.initializers.constant(jnp.log(scale)), ())
            scale = jnp.exp(jnp.minimum(log_scale, jnp.log(10.0)))
        return projected / norm * scale


class ContrastiveAutoencoder(nn.Module):
    """A masked autoencoder of single channels that also embeds them in a common space.

    Every example has one channel. The weights are shared by all modalities; only the channel
    embedding, if the autoencoder has one, identifies the modality.

    Attributes:
        config: Config of the autoencoder.
        projection_width, temperature, temperature_is_learned: See ``Projection``.
        column_steps: Time steps per column of ``StepProjection``; 0 for a model without one.
        step_width: Numbers per step.
    """

    config: MaeConfig
    projection_width: int = 256
    temperature: float = 0.07
    temperature_is_learned: bool = False
    column_steps: int = 0
    step_width: int = 16

    def setup(self) -> None:
        """Create the autoencoder and the projections."""
        self.autoencoder = MaskedAutoencoder(self.config)
        self.projection = Projection(
            self.projection_width, self.temperature, self.temperature_is_learned
        )
        if self.column_steps:
            self.step_projection = StepProjection(
                self.column_steps, self.step_width, self.temperature
            )

    def __call__(
        self,
        windows: Windows,
        visible_ids: jax.Array,
        predicted_ids: jax.Array | None = None,
        masked_channels: jax.Array | None = None,
    ) -> Reconstruction:
        """Run the autoencoder, and embed each example from its visible tokens."""
        predicted, latents = self.autoencoder.reconstruct(
            windows, visible_ids, predicted_ids, masked_channels
        )
        if self.is_initializing() and self.column_steps:
            self.embed_steps(windows)  # its parameters; a masked view has no use for it
        pooled = pool_tokens(latents, windows.channel_mask[:, :, None, None])
        return predicted._replace(embedding=self.projection(pooled))

    def embed(self, windows: Windows) -> jax.Array:
        """Embed whole examples as ``Projection`` does: [B, E]."""
        return self.projection(self.features(windows))

    def embed_steps(self, windows: Windows) -> AlignedEmbedding:
        """Embed whole examples, and their time steps, in one pass of the encoder."""
        cfg = self.config
        latents = self.grid(windows)
        token_mask = windows.token_mask(cfg.num_columns, cfg.num_rows)
        pooled = self.projection(pool_tokens(latents, token_mask))
        return AlignedEmbedding(pooled, self.step_projection(latents[:, 0], token_mask[:, 0, :, 0]))

    def grid(self, windows: Windows) -> jax.Array:
        """Return the latents of whole examples, [B, 1, W, H, D]."""
        return self.autoencoder.encoder.grid(windows)

    def features(self, windows: Windows, *, train: bool = False) -> jax.Array:
        """Return the mean token before the projection, as ``MaskedAutoencoder.features``."""
        return self.autoencoder.features(windows, train=train)
