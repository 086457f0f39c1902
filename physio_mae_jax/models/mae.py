"""The masked autoencoder: one model, configured as v1, v2 or v3 by its ``MaeConfig``.

Data flow::

    Encoder     signal [B, M, L] -> scalogram and waveform tokens -> latents of visible tokens
    Decoder     latents + mask tokens -> predictions of the requested columns

Which tokens are visible is an argument: the model draws nothing at random. ``visible_ids`` is

* ``[B, K]`` with a factorized encoder: K whole time columns, the same for all channels;
* ``[B, K, R]`` with a factorized encoder: tokens w · H + h, R of them at each of K positions in
  time, the same for all channels; neighbors along K should be neighbors in time;
* ``[B, T]`` with a joint encoder: tokens (m · H + h) · W + w, any tokens of any channel
  (models.md#tokenizer).
"""

import flax.linen as nn
import jax

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.decoder import Decoder, Reconstruction
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.window_batch import Windows


class MaskedAutoencoder(nn.Module):
    """CWT-MAE; see the module docstring for the data flow."""

    config: MaeConfig

    def setup(self) -> None:
        """Create the encoder and the decoder."""
        self.encoder = TransformerEncoder(self.config)
        self.decoder = Decoder(self.config)

    def encode(self, windows: Windows, visible_ids: jax.Array | None = None) -> jax.Array:
        """Encode the visible tokens of windows.

        Args:
            windows: Windows of M channels; ``num_valid_columns`` only without ``visible_ids``.
            visible_ids: Visible tokens, see the module docstring; None for all.

        Returns:
            Latents, undefined for absent channels and padding: [B, M, K, R, D] of a factorized
            encoder (K = W columns and R = H rows if all are visible), [B, T, D] or, with a class
            token in front, [B, 1 + T, D] of a joint one.
        """
        return self.encoder(windows, visible_ids)

    def grid(self, windows: Windows) -> jax.Array:
        """Return the latents of whole windows, [B, M, W, H, D]."""
        return self.encoder.grid(windows)

    def features(self, windows: Windows, *, train: bool = False) -> jax.Array:
        """Return one vector for each window, the mean of its tokens: [B, D] float32.

        Args:
            windows: Windows of M channels.
            train: Unused; for models whose layers differ in training.
        """
        del train
        cfg = self.config
        token_mask = windows.token_mask(cfg.num_columns, cfg.num_rows)
        return pool_tokens(self.encoder.grid(windows), token_mask)

    def __call__(
        self,
        windows: Windows,
        visible_ids: jax.Array,
        predicted_ids: jax.Array | None = None,
        masked_channels: jax.Array | None = None,
    ) -> Reconstruction:
        """Encode visible tokens and predict columns.

        Args:
            windows: Full windows; masked samples are read only by wavelets that reach into them.
            visible_ids: Visible tokens, see the module docstring.
            predicted_ids: [B, P] columns to predict; None for all.
            masked_channels: [B, M] bool, True = entirely masked, predicted from the others.
        """
        return self.reconstruct(windows, visible_ids, predicted_ids, masked_channels)[0]

    def reconstruct(
        self,
        windows: Windows,
        visible_ids: jax.Array,
        predicted_ids: jax.Array | None = None,
        masked_channels: jax.Array | None = None,
    ) -> tuple[Reconstruction, jax.Array]:
        """Return the result of ``__call__`` and the latents of the visible tokens."""
        present = windows.channel_mask
        seen = present if masked_channels is None else present & ~masked_channels
        latents = self.encode(windows._replace(channel_mask=seen), visible_ids)
        predicted = self.decoder(
            latents, present, windows.channel_ids, visible_ids, predicted_ids, masked_channels
        )
        return predicted, latents
