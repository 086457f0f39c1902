"""What steps of a fine-tuning change: averages, frozen parts, learning rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.training.supervised_trainable import load_best
from tests.training.fine_tunings import assert_same, build, take_steps


def test_the_average_is_that_of_all_steps_and_is_what_is_kept(waves_root, pretrained, tmp_path):
    run = build(waves_root, tmp_path, init_from=str(pretrained))
    states = take_steps(run, 4)
    average = states[0].params
    assert_same(states[0].ema_params, average)
    for number, state in enumerate(states[1:], start=1):
        keep = min(0.9, (1 + number) / (10 + number))
        average = jax.tree.map(
            lambda mean, new, keep=keep: keep * mean + (1 - keep) * new, average, state.params
        )
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7),
            state.ema_params,
            average,
        )
    run.trainable.evaluate(states[-1], 4)
    kept, _ = load_best(
        tmp_path, run.trainable.spec.model, run.trainable.window_shape, run.trainable.mesh
    )
    assert_same(kept, states[-1].ema_params)


def test_a_frozen_encoder_stays_bit_for_bit_as_it_came(waves_root, pretrained, tmp_path):
    run = build(waves_root, tmp_path, init_from=str(pretrained), frozen_blocks=1)
    before, *_, after = take_steps(run, 3)
    assert_same(before.params["encoder"], run.trainable.encoder.params)
    assert_same(after.params["encoder"], run.trainable.encoder.params)
    assert_same(after.ema_params["encoder"], run.trainable.encoder.params)
    for name in ("head", "output"):
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before.params, after.params)[name]
        assert all(distance > 0 for distance in jax.tree.leaves(moved))


@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({"layer_decay": 0.5}, (0.25, 0.5, 1.0)),
        ({"layer_decay": 0.5, "frozen_blocks": 0}, (0.0, 0.5, 1.0)),
        # What was never trained has nothing to be careful with.
        ({"layer_decay": 0.5, "init_from": ""}, (1.0, 1.0, 1.0)),
    ],
)
def test_the_settings_decide_the_learning_rates(waves_root, pretrained, tmp_path, changes, rates):
    """Adam's steps on constant gradients are the learning rates; embedding, block, after it."""
    run = build(waves_root, tmp_path, **{"init_from": str(pretrained)} | changes)
    shapes = jax.eval_shape(run.trainable.init_state, jax.random.key(0)).params
    # Parameters of 0 do not decay.
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    ones = jax.tree.map(jnp.ones_like, zeros)
    optimizer = run.trainable.spec.optimizer

    @jax.jit
    def second_update():
        _, state = optimizer.update(ones, optimizer.init(zeros), zeros)
        return optimizer.update(ones, state, zeros)[0]

    updates = second_update()
    encoder = updates["encoder"]
    full = run.trainable.spec.learning_rate(1)
    parts = (encoder["tokenizer"], encoder["stack"]["blocks"], encoder["stack"]["norm"])
    for part, rate in zip(parts, rates, strict=True):
        for leaf in jax.tree.leaves(part):
            np.testing.assert_allclose(leaf, -rate * full, rtol=1e-3)
    for leaf in jax.tree.leaves((updates["head"], updates["output"])):
        np.testing.assert_allclose(leaf, -full, rtol=1e-3)
