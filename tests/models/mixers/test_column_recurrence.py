"""The chunked recurrence over columns is the recurrence that its equations state."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.mixers.column_recurrence import (
    ColumnState,
    Direction,
    mix_columns,
    step_column,
)

SEQUENCES, COLUMNS, ROWS, HEADS, SIZE, STATE = 2, 23, 2, 2, 4, 6
ANGLES = np.array([2.0, 0.5, 0.01], np.float32)
RNG = np.random.default_rng(0)
MIX = jax.jit(mix_columns, static_argnums=6)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def direction(columns=COLUMNS):
    features = (normal(SEQUENCES, columns, ROWS, STATE) for _ in range(2))
    return Direction(*features, np.log1p(np.exp(normal(SEQUENCES, columns, HEADS))))


VALUES = normal(SEQUENCES, COLUMNS, ROWS, HEADS, SIZE)
FORWARD, BACKWARD = direction(), direction()
TIMES = np.cumsum(RNG.integers(1, 6, (SEQUENCES, COLUMNS)), axis=1)
WHOLE = np.ones((SEQUENCES, COLUMNS, ROWS), bool)
MASKED = WHOLE.copy()
MASKED[0, 20:] = MASKED[1, 5:8] = MASKED[1, 10, 1] = False


def turned(features, angle):
    first, second = np.split(features.astype(np.float64), 2, axis=-1)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def column_by_column(values, forward, backward, angles, times, mask):
    """Recurrence in float64: decay, write, read; in the backward direction read before writing."""
    mixed = np.zeros(values.shape)
    runs = itertools.product(range(len(values)), ((forward, False), (backward, True)))
    for s, (given, is_backward) in runs:
        state, previous = np.zeros((HEADS, STATE, SIZE)), None
        order = np.flatnonzero(mask[s].any(axis=-1))
        for k in order[::-1] if is_backward else order:
            rate = given.rate[s, k].astype(np.float64)[:, None, None]
            gap = 0 if previous is None else abs(times[s, k] - previous)
            state, previous = state * np.exp(-rate * gap), times[s, k]
            read = turned(given.read[s, k], angles * times[s, k])
            write = turned(given.write[s, k], angles * times[s, k]) * mask[s, k][:, None]
            scale = np.sqrt(1 - np.exp(-2 * rate))
            after = state + scale * np.einsum("rn,rhp->hnp", write, values[s, k])
            mixed[s, k] += np.einsum("rn,hnp->rhp", read, state if is_backward else after)
            state = after
    return mixed


def relative(found, wanted, mask=WHOLE):
    valid = mask.any(axis=-1)
    return np.abs(np.asarray(found, np.float64) - wanted)[valid].max() / np.abs(wanted).max()


@pytest.mark.parametrize("chunk_columns", [1, 8, 64])
def test_chunks_of_any_length_are_the_recurrence(chunk_columns):
    given = (VALUES, FORWARD, BACKWARD, ANGLES, TIMES, MASKED)
    found = MIX(*given, chunk_columns)
    assert relative(found, column_by_column(*given), MASKED) < 1e-5


def test_no_mask_is_that_all_are_valid():
    given = (VALUES, FORWARD, BACKWARD, ANGLES, TIMES)
    np.testing.assert_array_equal(MIX(*given, None, 8), MIX(*given, WHOLE, 8))


def test_half_precision_is_near():
    half = jnp.bfloat16
    forward, backward = (
        Direction(given.read.astype(half), given.write.astype(half), given.rate)
        for given in (FORWARD, BACKWARD)
    )
    found = MIX(VALUES.astype(half), forward, backward, ANGLES, TIMES, WHOLE, 8)
    wanted = column_by_column(VALUES, FORWARD, BACKWARD, ANGLES, TIMES, WHOLE)
    assert found.dtype == half
    error = np.asarray(found, np.float64) - wanted
    assert np.sqrt((error**2).mean() / (wanted**2).mean()) < 1e-2


def on_a_grid(array, columns=120):
    """Put columns at their times, with random numbers everywhere else."""
    grid = normal(SEQUENCES, columns, *array.shape[2:]) ** 2
    for s in range(SEQUENCES):
        grid[s, TIMES[s]] = array[s]
    return grid


def test_gaps_are_columns_that_write_nothing():
    mask = np.zeros((SEQUENCES, 120, ROWS), bool)
    for s in range(SEQUENCES):
        mask[s, TIMES[s]] = True
    dense = [Direction(*map(on_a_grid, given)) for given in (FORWARD, BACKWARD)]
    times = np.broadcast_to(np.arange(120), (SEQUENCES, 120))
    found = MIX(on_a_grid(VALUES), *dense, ANGLES, times, mask, 16)
    taken = np.stack([found[s, TIMES[s]] for s in range(SEQUENCES)])
    assert relative(taken, MIX(VALUES, FORWARD, BACKWARD, ANGLES, TIMES, WHOLE, 8)) < 1e-5


def test_steps_are_the_forward_direction():
    """With a state that is handed on, however many columns came before."""
    silent = BACKWARD._replace(write=np.zeros_like(BACKWARD.write))
    whole = np.asarray(MIX(VALUES, FORWARD, silent, ANGLES, TIMES, WHOLE, 8), np.float64)
    step, mixed = jax.jit(step_column), []
    state = ColumnState.empty(SEQUENCES, STATE, HEADS, SIZE)
    for k in range(COLUMNS):
        column = Direction(*(array[:, k] for array in FORWARD))
        found, state = step(state, VALUES[:, k], column, ANGLES, TIMES[:, k])
        mixed.append(found)
    assert relative(np.stack(mixed, axis=1), whole) < 1e-5


def test_reversed_time_swaps_the_directions():
    """With equal directions, since the own column belongs to one of them."""
    plain = MIX(VALUES, FORWARD, FORWARD, ANGLES, TIMES, WHOLE, 8)
    flipped = Direction(*(array[:, ::-1] for array in FORWARD))
    times = 1_000 - TIMES[:, ::-1]
    found = MIX(VALUES[:, ::-1], flipped, flipped, -ANGLES, times, WHOLE, 8)
    assert relative(found[:, ::-1], np.asarray(plain, np.float64)) < 1e-5


def test_only_differences_of_time_count():
    plain = np.asarray(MIX(VALUES, FORWARD, BACKWARD, ANGLES, TIMES, WHOLE, 8))
    later = MIX(VALUES, FORWARD, BACKWARD, ANGLES, TIMES + 1_000_000, WHOLE, 8)
    np.testing.assert_array_equal(later, plain)


def test_rows_are_alike():
    plain = np.asarray(MIX(VALUES, FORWARD, BACKWARD, ANGLES, TIMES, WHOLE, 8), np.float64)
    swapped = [
        Direction(given.read[:, :, ::-1], given.write[:, :, ::-1], given.rate)
        for given in (FORWARD, BACKWARD)
    ]
    found = MIX(VALUES[:, :, ::-1], *swapped, ANGLES, TIMES, WHOLE, 8)
    assert relative(found[:, :, ::-1], plain) < 1e-5


@pytest.fixture(scope="module")
def gradients():
    """Gradients of a loss with respect to all but times and mask, by chunk length."""

    def loss(given, times, chunk_columns):
        values, forward, backward, angles = given
        mixed = mix_columns(values, forward, backward, angles, times, None, chunk_columns)
        return (mixed * jnp.cos(jnp.arange(mixed.size).reshape(mixed.shape))).sum()

    return jax.jit(jax.grad(loss), static_argnums=2)


def test_gradients_do_not_depend_on_chunks(gradients):
    given = (VALUES, FORWARD, BACKWARD, ANGLES)
    ours, theirs = (gradients(given, TIMES, length) for length in (8, 64))
    for our, their in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.abs(our - their).max() <= 2e-5 * np.abs(their).max()


@pytest.mark.parametrize("rate", [1e-4, 60.0])
@pytest.mark.parametrize("gap", [1, 10_000])
def test_gradients_are_finite_at_any_gap_and_memory(gradients, gap, rate):
    rates = np.full_like(FORWARD.rate, rate)
    forward, backward = FORWARD._replace(rate=rates), BACKWARD._replace(rate=rates)
    found = gradients((VALUES, forward, backward, ANGLES), gap * TIMES, 8)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
