"""Block-local attention: tokens attend to their own time block and the two adjacent ones.

Full attention is quadratic in the sequence length. With blocks of equal duration, each attending
to three, it is linear, and distant tokens are reached layer by layer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

_NEIGHBOURS = 3  # blocks attended to; at either end of the sequence the nearest three


class LocalAttention(NamedTuple):
    """Partition of a token sequence into blocks.

    Attributes:
        length: Number of tokens T of the sequence.
        size: Tokens per block; T for full attention.
    """

    length: int
    size: int

    @classmethod
    def of(cls, num_positions: int, tokens_per_position: int, num_blocks: int) -> "LocalAttention":
        """Partition a sequence into blocks of whole positions, if there are four blocks or more.

        If only some positions are visible, as in training, blocks hold fewer of them, so that they
        span as much time as those of a complete sequence.
        """
        length = num_positions * tokens_per_position
        size = -(-num_positions // num_blocks) * tokens_per_position
        return cls(length, size if size * _NEIGHBOURS < length else length)

    @property
    def is_integer(self) -> bool:
        """Whether attention is full (no partition)."""
        return self.size >= self.length

    @property
    def num_blocks(self) -> int:
        """Number of blocks, the last of which may be partial."""
        return -(-self.length // self.size)

    @property
    def num_pairs(self) -> int:
        """Return the number of computed query-key pairs, padding included."""
        keys = self.length if self.is_integer else _NEIGHBOURS * self.size
        return self.num_blocks * self.size * keys

    def queries(self, tokens: jax.Array) -> jax.Array:
        """Split [B, T, …] into one sequence per block, [B · n, s, …]."""
        if self.is_integer:
            return tokens
        blocks = self._cut(tokens)
        return blocks.reshape(-1, *blocks.shape[2:])

    def keys(self, tokens: jax.Array) -> jax.Array:
        """Gather the keys of each block, in any order: [B, T, …] -> [B · n, 3 s, …]."""
        if self.is_integer:
            return tokens
        blocks = self._cut(tokens)
        # The first block has no predecessor and uses the one after next; the last likewise.
        earlier = jnp.concatenate([blocks[:, 2:3], blocks[:, :-1]], axis=1)
        later = jnp.concatenate([blocks[:, 1:], blocks[:, -3:-2]], axis=1)
        around = jnp.concatenate([earlier, blocks, later], axis=2)
        return around.reshape(-1, *around.shape[2:])

    def key_mask(self, key_mask: jax.Array | None, batch: int) -> jax.Array | None:
        """Return the mask of ``keys``, [B · n, 3 s] bool; None if all are valid.

        Args:
            key_mask: [B, T] bool, mask of the sequence; None if all are valid.
            batch: Batch size B.
        """
        if self.is_integer or (key_mask is None and self.length % self.size == 0):
            return key_mask
        return self.keys(jnp.ones((batch, self.length), bool) if key_mask is None else key_mask)

    def merge_blocks(self, blocks: jax.Array) -> jax.Array:
        """Undo ``queries``: [B · n, s, …] -> [B, T, …]."""
        if self.is_integer:
            return blocks
        together = blocks.reshape(-1, self.num_blocks * self.size, *blocks.shape[2:])
        return together[:, : self.length]

    def scatter_add(self, of_keys: jax.Array) -> jax.Array:
        """Sum over blocks the weight of each token as a key, [B · n, 3 s] -> [B, T]."""
        if self.is_integer:
            return of_keys
        batch = of_keys.shape[0] // self.num_blocks
        sequence = jax.ShapeDtypeStruct((batch, self.length), of_keys.dtype)
        return jax.linear_transpose(self.keys, sequence)(of_keys)[0]

    def _cut(self, tokens: jax.Array) -> jax.Array:
        """Split [B, T, …] into [B, n, s, …], zero-padded at the end."""
        missing = self.num_blocks * self.size - self.length
        padded = jnp.pad(tokens, [(0, 0), (0, missing)] + [(0, 0)] * (tokens.ndim - 2))
        return padded.reshape(tokens.shape[0], self.num_blocks, self.size, *tokens.shape[2:])
