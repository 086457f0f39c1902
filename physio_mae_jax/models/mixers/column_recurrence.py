"""A linear recurrence over time columns, computed in chunks by matmuls (models.md#state-space).

Structured state-space duality (SSD, Dao and Gu 2024): within a chunk the recurrence is a product
with a lower triangular matrix, between chunks a state is handed on. The state decays, and rotates,
with the true time between columns. Letters: N sequences of K columns in C chunks of q columns, R
rows, T = q · R tokens of a chunk, h heads of p values, n state features.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physio_mae_jax.models.rotary import rotate_half

# A time after which nothing is left of a state at any rate, though finite: it is summed.
_FORGOTTEN = 1e8


class Direction(NamedTuple):
    """What one of the two directions of time reads and writes.

    Attributes:
        read, write: [N, K, R, n] features of each token, C and B of the equations.
        rate: [N, K, h] float32, rate λ of the decay before a column, per column of time.
    """

    read: jax.Array
    write: jax.Array
    rate: jax.Array


class _Chunks(NamedTuple):
    """One direction in chunks.

    Attributes:
        read, write: [N, C, T, n], rotated by the time since the first column of the chunk.
        inner: [N, C, h, q, q] weight of column j for column i.
        entry: [N, C, q, h] weight of the state that enters the chunk, for column i.
        leaving: [N, C, q, h] weight of column j in the state that leaves the chunk.
        total: [N, C, h] decay of the state over the chunk.
    """

    read: jax.Array
    write: jax.Array
    inner: jax.Array
    entry: jax.Array
    leaving: jax.Array
    total: jax.Array


def mix_columns(
    values: jax.Array,
    forward: Direction,
    backward: Direction,
    angles: jax.Array,
    times: jax.Array,
    mask: jax.Array | None,
    chunk_columns: int,
    lookahead_columns: int = 0,
) -> jax.Array:
    """Sum, for each token, what all columns wrote, with a decay over the time between them.

    A token reads its own column and the earlier ones in the forward direction, the later ones in
    the backward direction, so that every pair of columns enters once. Rows are alike.

    Args:
        values: [N, K, R, h, p].
        forward, backward: The two directions.
        angles: [n / 2] float32, rotation per column of time.
        times: [N, K] int, time column, ascending.
        mask: [N, K, R] bool, False = padding, which writes nothing and takes no time; None if all
            tokens are valid.
        chunk_columns: Columns q of a chunk; a matter of speed only.
        lookahead_columns: Columns of time of a block; the backward direction starts anew at the
            end of each. 0 for no blocks.

    Returns:
        [N, K, R, h, p] of the type of ``values``.
    """
    num_columns, num_rows = values.shape[1:3]
    size = min(chunk_columns, num_columns)
    since, until = _gaps(times, None if mask is None else mask.any(axis=-1))
    if lookahead_columns:
        following = times + until.astype(times.dtype)
        is_last = following // lookahead_columns != times // lookahead_columns
        until = jnp.where(is_last, _FORGOTTEN, until)
    if mask is not None:
        forward, backward = (
            given._replace(write=jnp.where(mask[..., None], given.write, 0))
            for given in (forward, backward)
        )
    values, times = _split(values, size), _split(times, size)
    elapsed = (times - times[:, :, :1]).astype(jnp.float32)
    turns = jnp.repeat(elapsed, num_rows, axis=-1)[..., None] * angles
    ahead = _chunked(forward, since, turns, size, is_backward=False)
    back = _chunked(backward, until, turns, size, is_backward=True)
    tokens = values.reshape(*values.shape[:2], -1, *values.shape[4:])
    mixed = _within_chunks(tokens, ahead, back)
    # A loop over one chunk would add 0. Within a loop over layers XLA on a CPU (jax 0.10) compiles
    # it wrongly, so that it adds what happens to be in memory.
    if tokens.shape[1] > 1:
        between = jnp.diff(times[:, :, 0], axis=1).astype(jnp.float32)[..., None] * angles
        for chunks, turn, is_backward in ((ahead, -between, False), (back, between, True)):
            mixed += _between_chunks(tokens, chunks, turn, num_rows, is_backward=is_backward)
    mixed = mixed.reshape(mixed.shape[0], -1, num_rows, *mixed.shape[3:])
    return mixed[:, :num_columns].astype(values.dtype)


def _gaps(times: jax.Array, valid: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Return the time since the previous and until the next valid column, [N, K] float32.

    It is 0 in padding, and where there is no such column.
    """
    if valid is None:
        gap = jnp.diff(times, axis=1).astype(jnp.float32)
        return jnp.pad(gap, [(0, 0), (1, 0)]), jnp.pad(gap, [(0, 0), (0, 1)])
    limits = jnp.iinfo(times.dtype)
    previous = jax.lax.cummax(jnp.where(valid, times, limits.min), axis=1)[:, :-1]
    following = jax.lax.cummin(jnp.where(valid, times, limits.max), axis=1, reverse=True)[:, 1:]
    previous = jnp.pad(previous, [(0, 0), (1, 0)], constant_values=limits.min)
    following = jnp.pad(following, [(0, 0), (0, 1)], constant_values=limits.max)
    since = jnp.where(valid & (previous > limits.min), times - previous, 0)
    until = jnp.where(valid & (following < limits.max), following - times, 0)
    return since.astype(jnp.float32), until.astype(jnp.float32)


def _split(values: jax.Array, size: int, fill: str = "edge") -> jax.Array:
    """Cut [N, K, …] into [N, C, q, …]; ``fill`` is the mode of ``jnp.pad`` for the last chunk."""
    rest = [(0, 0)] * (values.ndim - 2)
    padded = jnp.pad(values, [(0, 0), (0, -values.shape[1] % size), *rest], mode=fill)
    return padded.reshape(values.shape[0], -1, size, *values.shape[2:])


def _chunked(
    direction: Direction,
    gap: jax.Array,
    turns: jax.Array,
    size: int,
    *,
    is_backward: bool,
) -> _Chunks:
    """Cut a direction into chunks; ``gap`` [N, K] is the time that its state decays for before k,
    ``turns`` [N, C, T, n / 2] the rotation of each token.
    """
    # The columns that fill the last chunk write nothing and take no time.
    gap = _split(gap, size, "constant")
    write = _split(direction.write, size, "constant")
    rate = _split(direction.rate, size)
    decay, scale = (-rate * gap[..., None]).swapaxes(2, 3), _log_scale(rate).swapaxes(2, 3)
    if is_backward:
        decay, scale = decay[..., ::-1], scale[..., ::-1]
    inner, entry, leaving = _weights(decay, scale, includes_own=not is_backward)
    if is_backward:
        inner, entry, leaving = inner[..., ::-1, ::-1], entry[..., ::-1], leaving[..., ::-1]
    shape = (*write.shape[:2], -1, write.shape[-1])
    return _Chunks(
        _turned(_split(direction.read, size).reshape(shape), turns),
        _turned(write.reshape(shape), turns),
        inner,
        entry.swapaxes(2, 3),
        leaving.swapaxes(2, 3),
        jnp.exp(decay.sum(axis=-1)),
    )


def _weights(
    decay: jax.Array, scale: jax.Array, *, includes_own: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the weights of a chunk in the order of its direction.

    Args:
        decay: [N, C, h, q] logarithm of the decay before each column.
        scale: [N, C, h, q] logarithm of the size with which each column writes.
        includes_own: Whether a column reads what it wrote itself.

    Returns:
        [N, C, h, q, q] of column j for column i, [N, C, h, q] of the entering state for column i,
        and [N, C, h, q] of column j in the leaving state.
    """
    size = decay.shape[-1]
    is_later = jnp.tri(size, k=-1, dtype=bool)
    # Sums over each range of columns: differences of running sums would lose short ranges that
    # follow a long gap.
    between = jnp.cumsum(jnp.where(is_later, decay[..., :, None], 0.0), axis=-2)
    seen = jnp.tri(size, k=0 if includes_own else -1, dtype=bool)
    # Masked before the exponential: afterwards, gradients would be 0 · inf.
    inner = jnp.exp(jnp.where(seen, between + scale[..., None, :], -jnp.inf))
    entry = jnp.exp(decay[..., :1] + between[..., 0])
    return inner, entry, jnp.exp(between[..., -1, :] + scale)


def _turned(features: jax.Array, angle: jax.Array) -> jax.Array:
    """Rotate [..., n] by [..., n / 2]."""
    first, second = jnp.split(features.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate(rotate_half(first, second, jnp.cos(angle), jnp.sin(angle)), axis=-1)
    return turned.astype(features.dtype)


def _within_chunks(tokens: jax.Array, ahead: _Chunks, back: _Chunks) -> jax.Array:
    """Mix the tokens [N, C, T, h, p] of each chunk: one product for both directions."""
    weights = _pair_weights(ahead) + _pair_weights(back)
    return jnp.einsum("nchij,ncjhp->ncihp", weights.astype(tokens.dtype), tokens)


def _pair_weights(chunks: _Chunks) -> jax.Array:
    """Return the weight of each token of a chunk for each other, [N, C, h, T, T] float32."""
    similarity = jnp.einsum("nctm,ncsm->ncts", chunks.read, chunks.write)
    weights = _of_tokens(chunks.inner, similarity.shape[-1])
    return similarity[:, :, None].astype(jnp.float32) * weights


def _of_tokens(weights: jax.Array, num_tokens: int) -> jax.Array:
    """Repeat weights [N, C, h, q, q] of columns for the rows of each: [N, C, h, T, T]."""
    *outer, size, _ = weights.shape
    rows = num_tokens // size
    wide = jnp.broadcast_to(weights[..., :, None, :, None], (*outer, size, rows, size, rows))
    return wide.reshape(*outer, num_tokens, num_tokens)


def _between_chunks(
    tokens: jax.Array, chunks: _Chunks, turn: jax.Array, num_rows: int, *, is_backward: bool
) -> jax.Array:
    """Return what tokens [N, C, T, h, p] read of the other chunks; C is at least 2.

    ``turn`` [N, C - 1, n / 2] rotates a state into the frame of the next chunk of the direction.
    """
    batch, num_chunks, num_tokens, heads, _ = tokens.shape
    weight = jnp.repeat(chunks.leaving, num_rows, axis=2)[..., None]
    weighted = tokens.astype(jnp.float32) * weight
    # States are float32 in every model: they sum over the whole sequence.
    written = jnp.einsum(
        "nctm,nctd->ncmd",
        chunks.write.astype(jnp.float32),
        weighted.reshape(batch, num_chunks, num_tokens, -1),
    )
    unused = jnp.zeros_like(turn[:, :1])
    turn = jnp.concatenate([unused, turn] if is_backward else [turn, unused], axis=1)
    states = _states(written, chunks.total, turn, is_backward=is_backward)
    read = jnp.einsum("nctm,ncmd->nctd", chunks.read, states.astype(chunks.read.dtype))
    entry = jnp.repeat(chunks.entry, num_rows, axis=2)[..., None]
    return read.reshape(*read.shape[:3], heads, -1) * entry.astype(tokens.dtype)


def _states(
    written: jax.Array, total: jax.Array, turn: jax.Array, *, is_backward: bool
) -> jax.Array:
    """Hand the state from chunk to chunk.

    Args:
        written: [N, C, n, h · p] float32, what each chunk adds.
        total: [N, C, h] decay over each chunk.
        turn: [N, C, n / 2] rotation after each chunk.
        is_backward: Whether the direction runs from the last chunk to the first.

    Returns:
        [N, C, n, h · p] float32, the state that enters each chunk.
    """
    decay = jnp.repeat(total, written.shape[-1] // total.shape[-1], axis=-1)[:, :, None]

    def step(
        state: jax.Array, chunk: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        added, kept, angle = chunk
        left = (kept * state + added).swapaxes(-1, -2)
        return _turned(left, angle[:, None]).swapaxes(-1, -2), state

    by_chunk = jax.tree.map(lambda array: array.swapaxes(0, 1), (written, decay, turn))
    _, states = jax.lax.scan(step, jnp.zeros_like(written[:, 0]), by_chunk, reverse=is_backward)
    return states.swapaxes(0, 1)


class ColumnState(NamedTuple):
    """State of the forward direction after some columns; its size does not depend on their number.

    Attributes:
        sums: [N, n, h, p] float32, rotated by the time since the last column.
        time: [N] int, time of the last column.
    """

    sums: jax.Array
    time: jax.Array

    @classmethod
    def empty(cls, batch: int, state_size: int, num_heads: int, head_size: int) -> "ColumnState":
        """Return the state before the first column."""
        shape = (batch, state_size, num_heads, head_size)
        return cls(jnp.zeros(shape), jnp.zeros(batch, jnp.int32))


def step_column(
    state: ColumnState, values: jax.Array, forward: Direction, angles: jax.Array, time: jax.Array
) -> tuple[jax.Array, ColumnState]:
    """Mix one more column by the forward direction of ``mix_columns``, at constant cost.

    Args:
        state: State after the columns before.
        values: [N, R, h, p] of the new column.
        forward: Direction of that column: features [N, R, n], rate [N, h].
        angles: [n / 2] float32, rotation per column of time.
        time: [N] int, time of the new column.

    Returns:
        [N, R, h, p], and the state after the column.
    """
    gap = (time - state.time).astype(jnp.float32)[:, None]
    kept = jnp.exp(-forward.rate * gap)[:, None, :, None] * state.sums
    # Into the frame of the new column, in which its own features are not rotated.
    kept = jnp.moveaxis(_turned(jnp.moveaxis(kept, 1, -1), -(gap * angles)[:, None, None]), -1, 1)
    scale = jnp.exp(_log_scale(forward.rate))[:, None, :, None]
    written = jnp.einsum(
        "nrm,nrhp->nmhp", forward.write.astype(jnp.float32), scale * values.astype(jnp.float32)
    )
    sums = kept + written
    mixed = jnp.einsum("nrm,nmhp->nrhp", forward.read.astype(jnp.float32), sums)
    return mixed.astype(values.dtype), ColumnState(sums, time)


def _log_scale(rate: jax.Array) -> jax.Array:
    """Return the logarithm of the size of what is written, which does not grow with the memory.

    As in RG-LRU (De et al. 2024).
    """
    return 0.5 * jnp.log(-jnp.expm1(-2 * rate))
