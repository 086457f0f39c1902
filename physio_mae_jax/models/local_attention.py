"""Which tokens of a long sequence attend to which: those of a block to it and the two beside it.

All pairs of a sequence are its length squared. Cut into blocks of the same time, each of which
attends to three, pairs grow with the length alone, and further tokens are reached layer by layer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

_BESIDE = 3  # blocks that one attends to; at an end of the sequence the nearest three


class LocalAttention(NamedTuple):
    """How a sequence of tokens is cut.

    Attributes:
        length: T, tokens of the sequence.
        size: tokens of a block; T where the sequence is left whole.
    """

    length: int
    size: int

    @classmethod
    def of(cls, num_places: int, tokens_a_place: int, num_blocks: int) -> "LocalAttention":
        """Cut a sequence of places into blocks of whole places, where there are four or more.

        Of a sequence of which only some places are there, as in training, the blocks hold fewer of
        them, so that they span as much time as those of a whole one.
        """
        length = num_places * tokens_a_place
        size = -(-num_places // num_blocks) * tokens_a_place
        return cls(length, size if size * _BESIDE < length else length)

    @property
    def is_whole(self) -> bool:
        """Whether everybody attends to everybody."""
        return self.size >= self.length

    @property
    def num_blocks(self) -> int:
        """Blocks, the last of which may not be full."""
        return -(-self.length // self.size)

    @property
    def num_pairs(self) -> int:
        """Return how many pairs of query and key are looked at, those of padding included."""
        keys = self.length if self.is_whole else _BESIDE * self.size
        return self.num_blocks * self.size * keys

    def queries(self, tokens: jax.Array) -> jax.Array:
        """Cut [B, T, …] into a sequence for each block, [B · n, S, …]."""
        if self.is_whole:
            return tokens
        blocks = self._cut(tokens)
        return blocks.reshape(-1, *blocks.shape[2:])

    def keys(self, tokens: jax.Array) -> jax.Array:
        """Give each block what it attends to, in any order: [B, T, …] -> [B · n, 3 S, …]."""
        if self.is_whole:
            return tokens
        blocks = self._cut(tokens)
        # The first block has none before it and takes the one after next, the last one likewise.
        earlier = jnp.concatenate([blocks[:, 2:3], blocks[:, :-1]], axis=1)
        later = jnp.concatenate([blocks[:, 1:], blocks[:, -3:-2]], axis=1)
        around = jnp.concatenate([earlier, blocks, later], axis=2)
        return around.reshape(-1, *around.shape[2:])

    def key_mask(self, key_mask: jax.Array | None, batch: int) -> jax.Array | None:
        """Return which of ``keys`` may be attended to, [B · n, 3 S]; None for all of them.

        Args:
            key_mask: [B, T] bool, of the sequence; None for all.
            batch: B.
        """
        if self.is_whole or (key_mask is None and self.length % self.size == 0):
            return key_mask
        return self.keys(jnp.ones((batch, self.length), bool) if key_mask is None else key_mask)

    def joined(self, blocks: jax.Array) -> jax.Array:
        """Undo ``queries``: [B · n, S, …] -> [B, T, …]."""
        if self.is_whole:
            return blocks
        together = blocks.reshape(-1, self.num_blocks * self.size, *blocks.shape[2:])
        return together[:, : self.length]

    def summed(self, of_keys: jax.Array) -> jax.Array:
        """Add up what each token got in every block it was a key of, [B · n, 3 S] -> [B, T]."""
        if self.is_whole:
            return of_keys
        batch = of_keys.shape[0] // self.num_blocks
        sequence = jax.ShapeDtypeStruct((batch, self.length), of_keys.dtype)
        return jax.linear_transpose(self.keys, sequence)(of_keys)[0]

    def _cut(self, tokens: jax.Array) -> jax.Array:
        """Cut [B, T, …] into [B, n, S, …], zeros at the end."""
        missing = self.num_blocks * self.size - self.length
        padded = jnp.pad(tokens, [(0, 0), (0, missing)] + [(0, 0)] * (tokens.ndim - 2))
        return padded.reshape(tokens.shape[0], self.num_blocks, self.size, *tokens.shape[2:])
