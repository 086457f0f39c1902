"""Laws of the pre-training step: devices, accumulation, non-finite losses."""

import jax
import numpy as np
import pytest

from physio_mae_jax.training.pretrain_step import (
    compile_train_step,
    evaluation_step,
    init_state,
    train_step,
)
from physio_mae_jax.training.sharding import make_mesh, replicated, shard_batch
from tests.factories import random_batch
from tests.training.pretrain_tasks import pretrain_task


def _two_states(task, num_devices, batch):
    """Return the states after one and two steps, and the metrics of the second."""
    mesh = make_mesh(num_devices)
    state = jax.jit(lambda: init_state(task, jax.random.key(0)), out_shardings=replicated(mesh))()
    step = compile_train_step(task, mesh)
    states = []
    for _ in range(2):
        state, metrics = step(state, shard_batch(batch, mesh))
        states.append(jax.device_get(state))  # the next step takes its memory
    return *states, jax.device_get(metrics)


def _two_steps(task, num_devices, batch):
    _, state, metrics = _two_states(task, num_devices, batch)
    return state.params, metrics


def _assert_close(ours, theirs, tolerance):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


def _batch():
    batch = {name: np.array(value) for name, value in random_batch(8, 3).items()} | {
        "subject": np.arange(8)
    }
    batch["channel_mask"][3, 1] = False
    return batch


@pytest.fixture(scope="module")
def whole():
    """Parameters and metrics after two steps of one device on whole batches."""
    return _two_steps(pretrain_task(), 1, _batch())


def test_eight_devices_update_as_one_does(whole):
    one, one_metrics = whole
    eight, eight_metrics = _two_steps(pretrain_task(), 8, _batch())
    assert eight_metrics["loss"] == pytest.approx(one_metrics["loss"], rel=1e-5)
    assert eight_metrics["gradient_norm"] == pytest.approx(one_metrics["gradient_norm"], rel=1e-4)
    _assert_close(one, eight, 2e-5)


def test_accumulated_micro_batches_update_as_the_whole_batch(whole):
    params, metrics = whole
    parts, parts_metrics = _two_steps(pretrain_task(accumulation_steps=4), 2, _batch())
    assert parts_metrics["loss"] == pytest.approx(metrics["loss"], rel=1e-5)
    _assert_close(params, parts, 2e-5)


def test_with_latent_targets_devices_and_micro_batches_update_alike():
    first, last, one_metrics = _two_states(pretrain_task(latent_weight=1.0), 1, _batch())
    task = pretrain_task(latent_weight=1.0, accumulation_steps=2)
    others, metrics = _two_steps(task, 2, _batch())
    assert metrics["latent_loss"] == pytest.approx(one_metrics["latent_loss"], rel=1e-4)
    total = sum(metrics[f"{part}_loss"] for part in ("scalogram", "waveform", "latent"))
    assert metrics["loss"] == pytest.approx(total, rel=1e-5)
    _assert_close(last.params, others, 2e-5)
    # The teacher is the average of the encoder alone; its decay is smaller in early steps.
    assert set(last.ema_params) == {"encoder"}
    decay = min(0.5, 3 / 12)
    old, new, mean = (
        tree["encoder"]["tokenizer"]["position"]
        for tree in (first.ema_params, last.params, last.ema_params)
    )
    assert np.abs(new - old).max() > 1e-4
    np.testing.assert_allclose(mean, decay * old + (1 - decay) * new, atol=1e-6)


def test_a_bad_batch_changes_nothing_and_halts_for_good():
    task = pretrain_task()
    step = jax.jit(lambda state, batch: train_step(task, state, batch))
    before = jax.jit(lambda: init_state(task, jax.random.key(0)))()
    bad = _batch()
    bad["signal"][0, 0, 0] = np.nan
    after, metrics = step(before, bad)
    assert metrics["non_finite"]
    still, metrics = step(after, _batch())
    assert metrics["non_finite"]
    for state in (after, still):
        assert state.step == 0
        jax.tree.map(np.testing.assert_array_equal, state.params, before.params)
        jax.tree.map(np.testing.assert_array_equal, state.opt_state, before.opt_state)


def test_windows_of_weight_0_do_not_count_in_an_evaluation():
    task = pretrain_task()
    params = jax.jit(lambda: init_state(task, jax.random.key(0)))().params
    measure = jax.jit(lambda batch: evaluation_step(task, params, batch, jax.random.key(0)))
    batch = _batch() | {"weight": np.array([1, 1, 1, 1, 1, 0, 0, 0], np.float32)}
    changed = {name: value.copy() for name, value in batch.items()}
    changed["signal"][5:] *= 3
    ours, theirs = jax.device_get((measure(batch), measure(changed)))
    assert ours["weight"] == 5
    for name in ours:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-6)
