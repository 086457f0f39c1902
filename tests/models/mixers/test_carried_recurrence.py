"""Blocks with a state from those before are one recurrence that looks ahead in blocks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.mixers.carried_recurrence import RECURRENT, mix_carried
from physio_mae_jax.models.mixers.column_recurrence import ColumnState, Direction, mix_columns
from physio_mae_jax.models.stack import Stack
from tests.factories import random_variables

SIZE = 6
SEQUENCES, COLUMNS, ROWS, HEADS, FEATURES, WIDTH = 2, 30, 2, 3, 4, 5
ANGLES = jnp.array([0.7, 0.05])


@functools.cache
def inputs():
    keys = iter(jax.random.split(jax.random.key(0), 8))
    shape = (SEQUENCES, COLUMNS, ROWS)

    def direction():
        read, write = (jax.random.normal(next(keys), (*shape, FEATURES)) for _ in range(2))
        rate = jax.random.uniform(next(keys), (*shape[:2], HEADS), minval=1e-4, maxval=1.0)
        return Direction(read, write, rate)

    values = jax.random.normal(next(keys), (*shape, HEADS, WIDTH))
    return values, direction(), direction()


def masked(missing):
    mask = np.ones((SEQUENCES, COLUMNS, ROWS), bool)
    mask[:, missing] = False
    return jnp.asarray(mask)


def whole(mask, **changes):
    times = jnp.broadcast_to(jnp.arange(COLUMNS), (SEQUENCES, COLUMNS))
    return mix_columns(*inputs(), ANGLES, times, mask, 8, **changes)


@pytest.mark.parametrize("missing", [[], [0, 1, 7, 13, 14, 15, 16, 17, 29], list(range(25))])
def test_blocks_with_a_state_are_the_whole(missing):
    mask = masked(missing)
    wanted = whole(mask, lookahead_columns=SIZE)
    state = ColumnState.empty(SEQUENCES, FEATURES, HEADS, WIDTH)
    found = []
    # Times relative to a block: those of the state are then negative.
    times = jnp.broadcast_to(jnp.arange(SIZE), (SEQUENCES, SIZE))
    for begin in range(0, COLUMNS, SIZE):
        block = slice(begin, begin + SIZE)
        given = jax.tree.map(lambda array, block=block: array[:, block], (*inputs(), mask))
        mixed, state = mix_carried(*given[:3], ANGLES, times, given[3], 8, state)
        state = state._replace(time=state.time - SIZE)
        found.append(mixed)
    valid = np.asarray(mask[..., None, None])
    found = np.where(valid, np.concatenate(found, axis=1), 0)
    np.testing.assert_allclose(found, np.where(valid, wanted, 0), atol=2e-5)
    assert valid.any()


def test_a_column_reads_no_later_block():
    """The dense formula: later columns of the own block only."""
    found = whole(None, lookahead_columns=SIZE)
    for begin in range(0, COLUMNS, SIZE):
        cut = [jax.tree.map(lambda a, n=begin + SIZE: a[:, :n], one) for one in inputs()]
        times = jnp.broadcast_to(jnp.arange(begin + SIZE), (SEQUENCES, begin + SIZE))
        alone = mix_columns(*cut, ANGLES, times, None, 8)
        np.testing.assert_allclose(found[:, begin : begin + SIZE], alone[:, begin:], atol=2e-5)
    assert np.abs(found - whole(None)).max() > 0.1


def test_the_gradient_of_a_limited_lookahead_is_finite():
    def loss(given):
        times = jnp.broadcast_to(jnp.arange(COLUMNS), (SEQUENCES, COLUMNS))
        return jnp.sin(mix_columns(*given, ANGLES, times, None, 8, SIZE)).sum()

    gradient = jax.grad(loss)(inputs())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_stack_carries_the_state_of_each_layer():
    settings = BlockConfig(2, jnp.dtype("float32"), "state_space", state_size=4)
    stack = Stack(settings._replace(lookahead_columns=SIZE), 2, "none")
    tokens = jax.random.normal(jax.random.key(0), (1, 3, 24, 2, 16))
    times = jnp.broadcast_to(jnp.arange(24)[:, None], (1, 24, 2))
    mask = jnp.ones((1, 24, 2), bool).at[:, 5].set(False).at[:, 12:14].set(False)
    present = jnp.ones((1, 3), bool)
    params = random_variables(stack, tokens, times, present)
    wanted = jax.jit(stack.apply)(params, tokens, times, present, mask)
    free = Stack(settings, 2, "none")
    held = {
        "blocks": {
            "time_state_space": {
                "sums": jnp.zeros((2, 3, 4, 2, 8)),
                "time": jnp.zeros((2, 3), jnp.int32),
            },
            "column": jnp.zeros((2, 1, 3, 1, 2, 16)),
        }
    }
    step = jax.jit(functools.partial(free.apply, mutable=[RECURRENT]))
    for begin in range(0, 24, SIZE):
        block = slice(begin, begin + SIZE)
        # Only differences of times count.
        given = (tokens[:, :, block], times[:, block], present, mask[:, block])
        found, changed = step({**params, RECURRENT: held}, *given)
        held = changed[RECURRENT]
        valid = mask[:, None, block, :, None]
        np.testing.assert_allclose(
            jnp.where(valid, found, 0), jnp.where(valid, wanted[:, :, block], 0), atol=1e-4
        )
    unlimited = jax.jit(free.apply)(params, tokens, times, present, mask)
    assert np.abs(unlimited - wanted)[:, :, :5].max() > 1e-3
