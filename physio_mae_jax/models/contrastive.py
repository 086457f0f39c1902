"""Single-tower contrastive model: one autoencoder for every modality, and a projection."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.decoder import Reconstruction
from physio_mae_jax.models.layers import Linear, convolution_init
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.window_batch import Windows


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
        norm = jnp.linalg.norm(projected, axis=-1, keepdims=True)
        scale = jnp.asarray(self.temperature**-0.5)
        if self.temperature_is_learned:
            # Kept above 1/100, below which single pairs dominate the loss (Radford et al. 2021).
            log_scale = self.param("log_scale", nn.initializers.constant(jnp.log(scale)), ())
            scale = jnp.exp(jnp.minimum(log_scale, jnp.log(10.0)))
        return projected / jnp.maximum(norm, 1e-12) * scale


class ContrastiveAutoencoder(nn.Module):
    """A masked autoencoder of single channels that also embeds them in a common space.

    Every example has one channel. The weights are shared by all modalities; only the channel
    embedding, if the autoencoder has one, identifies the modality.
    """

    config: MaeConfig
    projection_width: int = 256
    temperature: float = 0.07
    temperature_is_learned: bool = False

    def setup(self) -> None:
        """Create the autoencoder and the projection."""
        self.autoencoder = MaskedAutoencoder(self.config)
        self.projection = Projection(
            self.projection_width, self.temperature, self.temperature_is_learned
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
        pooled = pool_tokens(latents, windows.channel_mask[:, :, None, None])
        return predicted._replace(embedding=self.projection(pooled))

    def embed(self, windows: Windows) -> jax.Array:
        """Embed whole examples as ``Projection`` does: [B, E]."""
        return self.projection(self.features(windows))

    def grid(self, windows: Windows) -> jax.Array:
        """Return the latents of whole examples, [B, 1, W, H, D]."""
        return self.autoencoder.encoder.grid(windows)

    def features(self, windows: Windows, *, train: bool = False) -> jax.Array:
        """Return the mean token before the projection, as ``MaskedAutoencoder.features``."""
        return self.autoencoder.features(windows, train=train)
