"""The masked autoencoder: one model, configured as v1, v2 or v3 by its ``MaeConfig``.

Data flow::

    Encoder     signal [B, M, L] -> scalogram and waveform tokens -> latents of visible tokens
    Decoder     latents + mask tokens -> predictions of the requested columns

Which tokens are visible is an argument: the model draws nothing at random. ``visible_ids`` is

* ``[B, K]`` with a factorized encoder: K whole time columns, the same for all channels;
* ``[B, K, R]`` with a factorized encoder: tokens w · H + h, R of them at each of K positions in
  time, the same for all channels; neighbours along K should be neighbours in time;
* ``[B, T]`` with a joint encoder: tokens (m · H + h) · W + w, any tokens of any channel
  (models.md#tokenizer).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.decoder import Decoder, Reconstruction
from physio_mae_jax.models.encoder import TransformerEncoder


class MaskedAutoencoder(nn.Module):
    """CWT-MAE; see the module docstring for the data flow."""

    config: MaeConfig

    def setup(self) -> None:
        """Create the encoder and the decoder."""
        self.encoder = TransformerEncoder(self.config)
        self.decoder = Decoder(self.config)

    def encode(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array | None = None,
        num_valid_columns: jax.Array | None = None,
    ) -> jax.Array:
        """Encode the visible tokens of a window.

        Args:
            signal: [B, M, L], M ≥ 1 channels in any order.
            channel_mask: [B, M] bool, True = present. The samples of absent channels are ignored.
            channel_ids: [B, M] int, ``signals.channels.channel_id`` of each name.
            visible_ids: Visible tokens, see the module docstring; None for all.
            num_valid_columns: [B] number of leading columns that hold signal, the rest being
                padding; None if the window is full. Only without ``visible_ids``.

        Returns:
            Latents, undefined for absent channels and padding: [B, M, K, R, D] of a factorized
            encoder (K = W columns and R = H rows if all are visible), [B, T, D] or, with a class
            token in front, [B, 1 + T, D] of a joint one.
        """
        return self.encoder(signal, channel_mask, channel_ids, visible_ids, num_valid_columns)

    def features(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        *,
        num_valid_columns: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Return one vector for each window, the mean of its tokens: [B, D] float32.

        Arguments as in ``encode``; ``train`` is for models whose layers differ in training.
        """
        del train
        latents = self.encoder.grid(signal, channel_mask, channel_ids, num_valid_columns)
        return pool_tokens(latents, channel_mask, num_valid_columns)

    def __call__(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array,
        predicted_ids: jax.Array | None = None,
        masked_channels: jax.Array | None = None,
    ) -> Reconstruction:
        """Encode visible tokens and predict columns.

        Args:
            signal: [B, M, L]; masked samples are read only by wavelets that reach into them.
            channel_mask: [B, M] bool, True = present.
            channel_ids: [B, M] int.
            visible_ids: see the module docstring.
            predicted_ids: [B, P] columns to predict; None for all.
            masked_channels: [B, M] bool, True = entirely masked, predicted from the others.
        """
        return self.reconstruct(
            signal, channel_mask, channel_ids, visible_ids, predicted_ids, masked_channels
        )[0]

    def reconstruct(
        self,
        signal: jax.Array,
        channel_mask: jax.Array,
        channel_ids: jax.Array,
        visible_ids: jax.Array,
        predicted_ids: jax.Array | None = None,
        masked_channels: jax.Array | None = None,
    ) -> tuple[Reconstruction, jax.Array]:
        """Return the result of ``__call__`` and the latents of the visible tokens."""
        seen = channel_mask if masked_channels is None else channel_mask & ~masked_channels
        latents = self.encode(signal, seen, channel_ids, visible_ids)
        predicted = self.decoder(
            latents, channel_mask, channel_ids, visible_ids, predicted_ids, masked_channels
        )
        return predicted, latents


def pool_tokens(
    latents: jax.Array, channel_mask: jax.Array, num_valid_columns: jax.Array | None = None
) -> jax.Array:
    """Average latents [B, M, W, H, D] over present channels and valid columns: [B, D] float32."""
    columns = jnp.arange(latents.shape[2])
    limit = latents.shape[2] if num_valid_columns is None else num_valid_columns[:, None]
    weight = (
        channel_mask[:, :, None]
        & jnp.broadcast_to(columns < limit, (latents.shape[0], latents.shape[2]))[:, None, :]
    )
    weight = weight.astype(jnp.float32)
    totals = jnp.where(weight[..., None, None] > 0, latents.astype(jnp.float32), 0.0)
    return totals.mean(axis=3).sum(axis=(1, 2)) / jnp.maximum(weight.sum(axis=(1, 2)), 1.0)[:, None]
