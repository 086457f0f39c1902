"""A batch of windows, in the form that every model takes."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Names of the entries that a window has for each of its channels.
CHANNEL_ENTRIES = ("signal", "channel_mask", "channel_ids")


class Windows(NamedTuple):
    """A batch of windows.

    Attributes:
        signal: [B, M, L] float32, z-scored, M ≥ 1 channels in any order. The samples of absent
            channels are ignored.
        channel_mask: [B, M] bool, True = present.
        channel_ids: [B, M] int, ``signals.channels.channel_id`` of each name.
        num_valid_columns: [B] int, number of leading time columns that hold signal, the rest being
            padding; None if the windows are full.
    """

    signal: jax.Array
    channel_mask: jax.Array
    channel_ids: jax.Array
    num_valid_columns: jax.Array | None = None

    @classmethod
    def of(cls, batch: Mapping[str, jax.Array]) -> "Windows":
        """Take the entries of a batch that have the names of the fields."""
        return cls(**{name: batch[name] for name in cls._fields if name in batch})

    @classmethod
    def blank(cls, batch: int, num_channels: int, num_samples: int) -> "Windows":
        """Return windows of zeros with all channels present, to initialize a model with."""
        shape = (batch, num_channels)
        return cls(
            jnp.zeros((*shape, num_samples)), jnp.ones(shape, bool), jnp.zeros(shape, jnp.int32)
        )

    def token_mask(self, num_columns: int, num_rows: int) -> jax.Array:
        """Return which tokens hold signal: [B, M, W, H] bool.

        Args:
            num_columns: Number of time columns W.
            num_rows: Number of frequency rows H.
        """
        valid = self.channel_mask[:, :, None]
        if self.num_valid_columns is not None:
            columns = jnp.arange(num_columns) < self.num_valid_columns[:, None]
            valid = valid & columns[:, None]
        return jnp.broadcast_to(valid[..., None], (*self.channel_mask.shape, num_columns, num_rows))

    def single_channels(self) -> "Windows":
        """Make a window of each channel: B · M windows of one channel."""
        channels = self.signal.shape[1]
        single = jax.tree.map(
            lambda values: values.reshape(-1, 1, *values.shape[2:]),
            self._replace(num_valid_columns=None),
        )
        if self.num_valid_columns is None:
            return single
        return single._replace(num_valid_columns=jnp.repeat(self.num_valid_columns, channels))
