"""Similarity at the best lag: its definition, and what a shift changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.signals import lagged_similarity
from physio_mae_jax.signals.lagged_similarity import delayed, lag_steps, unit_sequences

LAGS = (-2, 0, 1, 3)
pairwise = jax.jit(lagged_similarity.pairwise_similarity, static_argnums=2)


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=(n, 12, 3)), jnp.float32) for n in (4, 5)]


def test_the_matrix_product_is_the_sum_over_time(sequences):
    first, second = sequences
    found = np.asarray(pairwise(first, second, LAGS))
    for a, lag in enumerate(LAGS):
        moved = np.zeros_like(second)
        moved[:, max(lag, 0) : 12 + min(lag, 0)] = second[:, max(-lag, 0) : 12 - max(lag, 0)]
        np.testing.assert_allclose(found[..., a], np.einsum("nte,kte->nk", first, moved), atol=1e-4)


def test_all_forms_agree(sequences):
    first, second = sequences[0], sequences[1][:4]
    every = np.asarray(pairwise(first, second, LAGS))
    own = lagged_similarity.paired_similarity(first, second, LAGS)
    np.testing.assert_allclose(own, every[np.arange(4), np.arange(4)], atol=1e-4)
    best = lagged_similarity.best_pairwise(np.asarray(first), np.asarray(second), LAGS)
    np.testing.assert_allclose(best, every.max(axis=2), atol=1e-4)
    around = lagged_similarity.circular_similarity(first, second)
    for lag in (0, 5):
        rotated = jnp.roll(second, lag, axis=1)
        np.testing.assert_allclose(around[:, lag], (first * rotated).sum((1, 2)), atol=1e-4)


def test_a_shift_of_the_first_moves_the_best_lag_by_as_much(sequences):
    """The content lies inside the window, so that a shift moves nothing out of it."""
    content = jnp.pad(sequences[0], ((0, 0), (8, 8), (0, 0)))
    lags = tuple(range(9))
    for shift in (0, 3, 7):
        scores = pairwise(delayed(content, (shift,))[:, 0], content, lags)
        assert scores[jnp.arange(4), jnp.arange(4)].argmax(axis=1).tolist() == [shift] * 4


def test_padding_changes_nothing(sequences):
    values, valid = sequences[0], jnp.arange(12) < 9
    alone = unit_sequences(values[:, :9], jnp.ones((4, 9), bool))
    padded = unit_sequences(values, jnp.broadcast_to(valid, (4, 12)))
    np.testing.assert_allclose(padded[:, :9], alone, atol=1e-6)
    assert not padded[:, 9:].any()
    np.testing.assert_allclose((padded**2).sum((1, 2)), 1, atol=1e-5)
    assert not unit_sequences(values, jnp.zeros((4, 12), bool)).any()


def test_lags_are_those_inside_the_range():
    assert lag_steps((0.08, 0.7), 0.05) == tuple(range(2, 15))
    assert lag_steps((-0.1, 0.1), 0.1) == (-1, 0, 1)
    assert lag_steps((0.02, 0.03), 0.05) == (1,)
