"""Tokens near the event of a window, such as a heart beat, at three scales."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.layers import layer_norm
from physio_mae_jax.models.pooling import pool_tokens

# Standard deviations of the weights around the event: a beat, and the beats next to it.
_SCALES_SECONDS = (0.15, 0.8)


class EventHead(nn.Module):
    """Means of the tokens: near the event, around it, and of the whole window, each normalized.

    The mean of a window dilutes one beat among ten; its context tells whether it came early.
    """

    model: MaeConfig
    settings: HeadConfig

    @nn.compact
    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Map latents [B, M, W, H, D] with their mask [B, M, W, H] to [B, 3 D]."""
        del train
        latents = latents.astype(jnp.float32)
        means = [
            pool_tokens(latents, token_mask, self._weights(latents.shape[2], seconds))
            for seconds in _SCALES_SECONDS
        ]
        means.append(pool_tokens(latents, token_mask))
        return jnp.concatenate(
            [layer_norm(f"norm_{i}", jnp.dtype("float32"))(mean) for i, mean in enumerate(means)],
            axis=-1,
        )

    def _weights(self, num_columns: int, seconds: float) -> np.ndarray:
        """Return normal weights of the columns [W] around the event."""
        distance = np.arange(num_columns) + 0.5 - self.settings.event_offset * num_columns
        column_seconds = self.model.patch_samples / self.model.sampling_rate_hz
        return np.exp(-0.5 * np.square(distance * column_seconds / seconds))
