"""Rotary positions of tokens (models.md#rotary-positions)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

_ROTARY_BASE = 10_000.0


class Rotation(NamedTuple):
    """Rotary angles of a token sequence, ready to apply: [B, T, d / 2] float32 each."""

    cos: jax.Array
    sin: jax.Array


def rotary_rotation(positions: jax.Array, head_dim: int) -> Rotation:
    """Compute rotary angles (Su et al. 2021; models.md#rotary-positions).

    Args:
        positions: [B, T] position of each token, here its time column.
        head_dim: Head size d, even.
    """
    exponent = jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim
    angles = positions[..., None].astype(jnp.float32) * _ROTARY_BASE**-exponent
    return Rotation(jnp.cos(angles), jnp.sin(angles))


def rotate(heads: jax.Array, rotation: Rotation) -> jax.Array:
    """Rotate [B, T, h, d] by its angles; first half against second half, not interleaved."""
    first, second = jnp.split(heads.astype(jnp.float32), 2, axis=-1)
    cos, sin = rotation.cos[:, :, None, :], rotation.sin[:, :, None, :]
    rotated = jnp.concatenate(rotate_half(first, second, cos, sin), axis=-1)
    return rotated.astype(heads.dtype)


def rotate_half(
    first: jax.Array, second: jax.Array, cos: jax.Array, sin: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Rotate both halves of heads by their angles."""
    return first * cos - second * sin, second * cos + first * sin
