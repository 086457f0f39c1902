"""The column recurrence of a block of columns whose predecessors are known by their state."""

import jax
import jax.numpy as jnp

from physio_mae_jax.models.mixers.column_recurrence import (
    ColumnState,
    Direction,
    mix_columns,
    step_column,
)

# Collection of what a stack carries from block to block.
RECURRENT = "recurrent"


def mix_carried(
    values: jax.Array,
    forward: Direction,
    backward: Direction,
    angles: jax.Array,
    times: jax.Array,
    mask: jax.Array | None,
    chunk_columns: int,
    state: ColumnState,
) -> tuple[jax.Array, ColumnState]:
    """Mix a block as ``mix_columns`` does, after the columns that ``state`` sums up.

    The backward direction begins with the last column of the block.

    Args:
        values, forward, backward, angles, times, mask, chunk_columns: As for ``mix_columns``.
        state: Forward state after the columns before.

    Returns:
        [N, K, R, h, p], undefined where no row of a column is valid, and the state after the block.
    """
    nothing = forward._replace(write=jnp.zeros_like(forward.write))
    later = mix_columns(values, nothing, backward, angles, times, mask, chunk_columns)
    if mask is None:
        mask = jnp.ones(values.shape[:3], bool)
    write = jnp.where(mask[..., None], forward.write, 0)
    columns = (values, forward._replace(write=write), times, mask.any(axis=-1))

    def step(
        before: ColumnState, column: tuple[jax.Array, Direction, jax.Array, jax.Array]
    ) -> tuple[ColumnState, jax.Array]:
        value, direction, time, valid = column
        mixed, after = step_column(before, value, direction, angles, time)
        sums = jnp.where(valid[:, None, None, None], after.sums, before.sums)
        return ColumnState(sums, jnp.where(valid, after.time, before.time)), mixed

    by_column = jax.tree.map(lambda array: array.swapaxes(0, 1), columns)
    state, earlier = jax.lax.scan(step, state, by_column)
    return later + earlier.swapaxes(0, 1), state
