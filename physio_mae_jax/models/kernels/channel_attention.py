"""Attention across channels as one GPU kernel: no transposes, no small matmuls.

At each position in time a dozen channels attend to each other. As batched matmuls that is hundreds
of thousands of 12 × 12 matrices, each far below the 64 × 64 tiles of a tensor core, and it needs
queries, keys and values transposed first. The kernel instead processes several positions at once:
their channels form one sequence of about 64 rows, each attending only to rows of its own position.
Tokens are read and written in place, without a transpose.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from physio_mae_jax.models.kernels.launch import Ref, launch
from physio_mae_jax.signals.data_parallel import shard_map_batch

# Maximum number of channels whose logits fit the registers of a program.
MAX_CHANNELS = 128
_ROWS = 64
# Finite, so that rows with absent channels only stay finite too.
_NEVER = -1e30


class _Sizes(NamedTuple):
    """Static sizes of a launch."""

    batch: int
    channels: int
    positions: int
    heads: int
    head_dim: int

    @property
    def padded_channels(self) -> int:
        """Channels per program; block sizes of a kernel are powers of two."""
        return pl.next_power_of_2(self.channels)

    @property
    def positions_per_program(self) -> int:
        """Positions per program."""
        return max(1, _ROWS // self.padded_channels)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Programs: examples × groups of positions × heads."""
        return self.batch, pl.cdiv(self.positions, self.positions_per_program), self.heads


def attend_across_channels(
    qkv: jax.Array, channel_mask: jax.Array, *, interpret: bool = False
) -> jax.Array:
    """Attend across the channels of each position.

    Args:
        qkv: [B, M, T, 3, h, d] queries, keys and values, M ≤ ``MAX_CHANNELS``.
        channel_mask: [B, M] bool, False = never attended to.
        interpret: Run in interpreter mode on any device, for tests.

    Returns:
        [B, M, T, h, d] of the type of ``qkv``, zeros for examples with fewer than two channels;
        logits and weights are float32.
    """
    attend = functools.partial(_attend, interpret)
    return shard_map_batch(attend, qkv, channel_mask.astype(jnp.int32))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(interpret: bool, qkv: jax.Array, present: jax.Array) -> jax.Array:
    sizes = _sizes(qkv)
    # The sizes [B, M, T, h, d] are also the output shape.
    outputs = [jax.ShapeDtypeStruct(tuple(sizes), qkv.dtype)]
    name = "attention_across_channels"
    call = launch(_forward_kernel, sizes, sizes.grid, outputs, interpret=interpret, name=name)
    return call(qkv, present)[0]


def _attend_forward(
    interpret: bool, qkv: jax.Array, present: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _attend(interpret, qkv, present), (qkv, present)


def _attend_backward(
    interpret: bool, kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, np.ndarray]:
    qkv, present = kept
    sizes = _sizes(qkv)
    outputs = [jax.ShapeDtypeStruct(qkv.shape, qkv.dtype)]
    name = "attention_across_channels_gradient"
    call = launch(_backward_kernel, sizes, sizes.grid, outputs, interpret=interpret, name=name)
    return call(qkv, present, gradient)[0], np.zeros(present.shape, jax.dtypes.float0)


_attend.defvjp(_attend_forward, _attend_backward)


def _sizes(qkv: jax.Array) -> _Sizes:
    return _Sizes(*qkv.shape[:3], *qkv.shape[4:])


class _Tile(NamedTuple):
    """Indices of the rows of a program: channel by channel, positions within each."""

    example: jax.Array
    channel: jax.Array  # [r, 1]
    position: jax.Array  # [r, 1]
    head: jax.Array
    feature: jax.Array  # [1, d]
    inside: jax.Array  # [r, d] bool


def _tile(sizes: _Sizes) -> _Tile:
    positions = sizes.positions_per_program
    rows = jax.lax.broadcasted_iota(jnp.int32, (sizes.padded_channels * positions, 1), 0)
    width = pl.next_power_of_2(sizes.head_dim)
    feature = jax.lax.broadcasted_iota(jnp.int32, (1, width), 1)
    channel, position = rows // positions, pl.program_id(1) * positions + rows % positions
    inside = (channel < sizes.channels) & (position < sizes.positions) & (feature < sizes.head_dim)
    return _Tile(pl.program_id(0), channel, position, pl.program_id(2), feature, inside)


def _load(ref: Ref, tile: _Tile, *part: int) -> jax.Array:
    """Read rows [r, d] of one head; ``part`` selects query (0), key (1) or value (2)."""
    at = (tile.example, tile.channel, tile.position, *part, tile.head, tile.feature)
    return triton.load(ref.at[at], mask=tile.inside, other=0.0)


def _store(ref: Ref, tile: _Tile, values: jax.Array, *part: int) -> None:
    at = (tile.example, tile.channel, tile.position, *part, tile.head, tile.feature)
    triton.store(ref.at[at], values.astype(ref.dtype), mask=tile.inside)


def _weights(
    query: jax.Array, key: jax.Array, present_ref: Ref, tile: _Tile, sizes: _Sizes
) -> jax.Array:
    """Return weights [r, r] float32 within each position; 0 if no other channel is present."""
    rows, positions = query.shape[0], sizes.positions_per_program
    key_row = jax.lax.broadcasted_iota(jnp.int32, (1, rows), 1)
    key_channel = key_row // positions
    known = key_channel < sizes.channels
    present = triton.load(present_ref.at[tile.example, key_channel], mask=known, other=0)
    query_row = jax.lax.broadcasted_iota(jnp.int32, (rows, 1), 0)
    attended = (query_row % positions == key_row % positions) & (present > 0)
    logits = triton.dot(query, key.T) * sizes.head_dim**-0.5
    logits = jnp.where(attended, logits, _NEVER)
    powers = jnp.exp(logits - jnp.max(logits, axis=1, keepdims=True))
    # Each channel has one row per position.
    num_present = jnp.sum((known & (present > 0)).astype(jnp.float32)) / positions
    exchanges = (num_present > 1.5).astype(jnp.float32)
    return exchanges * powers / jnp.sum(powers, axis=1, keepdims=True)


def _forward_kernel(sizes: _Sizes, qkv_ref: Ref, present_ref: Ref, mixed_ref: Ref) -> None:
    tile = _tile(sizes)
    query, key, value = (_load(qkv_ref, tile, part) for part in range(3))
    weights = _weights(query, key, present_ref, tile, sizes)
    _store(mixed_ref, tile, triton.dot(weights.astype(value.dtype), value))


def _backward_kernel(
    sizes: _Sizes,
    qkv_ref: Ref,
    present_ref: Ref,
    gradient_ref: Ref,
    qkv_gradient_ref: Ref,
) -> None:
    tile = _tile(sizes)
    query, key, value = (_load(qkv_ref, tile, part) for part in range(3))
    gradient = _load(gradient_ref, tile)
    weights = _weights(query, key, present_ref, tile, sizes)
    _store(qkv_gradient_ref, tile, triton.dot(weights.astype(value.dtype).T, gradient), 2)
    of_weights = triton.dot(gradient, value.T)
    shared = jnp.sum(of_weights * weights, axis=1, keepdims=True)
    of_logits = weights * (of_weights - shared) * sizes.head_dim**-0.5
    of_logits = of_logits.astype(query.dtype)
    _store(qkv_gradient_ref, tile, triton.dot(of_logits, key), 0)
    _store(qkv_gradient_ref, tile, triton.dot(of_logits.T, query), 1)
