"""Updates change the whole state, or nothing of it once a loss is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from physio_mae_jax.training.state import TrainState, apply_gradients

OPTIMIZER = optax.sgd(0.5)
GRADIENT = {"w": jnp.array([2.0, 0.0])}


def start(**options):
    return TrainState.start(jax.random.key(0), {"w": jnp.ones(2)}, OPTIMIZER, **options)


def test_an_update_moves_parameters_and_counts():
    state, metrics = apply_gradients(start(), OPTIMIZER, GRADIENT, jnp.float32(1))
    np.testing.assert_array_equal(state.params["w"], [0, 1])
    assert (int(state.step), float(metrics["gradient_norm"])) == (1, 2.0)
    assert not metrics["non_finite"]


def test_a_loss_that_is_not_finite_changes_nothing_for_good():
    before = start()
    bad, metrics = apply_gradients(before, OPTIMIZER, GRADIENT, jnp.float32(np.nan))
    assert metrics["non_finite"]
    after, _ = apply_gradients(bad, OPTIMIZER, GRADIENT, jnp.float32(1))
    np.testing.assert_array_equal(after.params["w"], before.params["w"])
    assert int(after.step) == 0


def test_the_average_is_evaluated_where_it_is_kept():
    state, _ = apply_gradients(
        start(averaged=("w",)), OPTIMIZER, GRADIENT, jnp.float32(1), ema_decay=0.9
    )
    share = 2 / 11  # of the average in the first step
    np.testing.assert_allclose(state.eval_params["w"], [share, 1], rtol=1e-6)
    np.testing.assert_array_equal(start().eval_params["w"], [1, 1])
