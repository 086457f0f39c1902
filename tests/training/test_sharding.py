"""The same losses on any mesh; what is cut along 'fsdp', and what that saves."""

import jax
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.training import sharding
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.pretrain_step import PretrainSpec, compile_train_step, init_state
from physio_mae_jax.training.sharding import (
    check_devices,
    fsdp_sharding,
    initialize_state,
    make_mesh,
    shard_batch,
)
from tests.factories import random_batch, tiny_model


@pytest.fixture(autouse=True)
def small_arrays_are_cut_too(monkeypatch):
    monkeypatch.setattr(sharding, "_MIN_SIZE_TO_SHARD", 2**8)


def _task():
    config = OptimizerConfig(peak_learning_rate=1e-2, warmup_steps=1)
    return PretrainSpec(
        model=tiny_model(depth=1, width=16),
        objective=ObjectiveConfig(),
        optimizer=make_optimizer(config, 6),
        learning_rate=learning_rate_schedule(config, 6),
        accumulation_steps=1,
    )


def _batch():
    batch = {name: np.array(value) for name, value in random_batch(8, 3).items()}
    return batch | {"subject": np.arange(8)}


def _three_steps(devices, fsdp):
    """Return losses, parameters on the host, and how many bytes of state device 0 holds."""
    task, mesh = _task(), make_mesh(devices, fsdp)
    state = initialize_state(lambda key: init_state(task, key), jax.random.key(0), mesh)
    step = compile_train_step(task, mesh)
    losses = []
    for _ in range(3):
        state, metrics = step(state, shard_batch(_batch(), mesh))
        losses.append(float(metrics["loss"]))
    # A step leaves everything where it was, or the next one would be compiled again.
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    assert all(
        ours.is_equivalent_to(wanted, leaf.ndim)
        for ours, wanted, leaf in zip(
            jax.tree.leaves(shardings),
            jax.tree.leaves(fsdp_sharding(state, mesh)),
            jax.tree.leaves(state),
            strict=True,
        )
    )
    held = sum(leaf.addressable_data(0).nbytes for leaf in jax.tree.leaves(state))
    return losses, jax.device_get(state.params), held


@pytest.fixture(scope="module")
def one_device():
    return _three_steps(1, 1)


@pytest.mark.parametrize(("devices", "fsdp"), [(2, 1), (4, 2), (8, 8)])
def test_losses_are_those_of_one_device(devices, fsdp, one_device):
    losses, params, held = _three_steps(devices, fsdp)
    np.testing.assert_allclose(losses, one_device[0], rtol=1e-6)
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=2e-5),
        params,
        one_device[1],
    )
    # What stays whole is small, so a device holds little more than its share.
    assert held < one_device[2] * (1 / fsdp + 0.15)


def test_large_arrays_are_cut_along_their_longest_axis_that_divides():
    mesh = make_mesh(8, 4)
    shapes = {
        "kernel": (2, 64, 192),
        "longest does not divide": (32, 33),
        "nothing divides": (33, 35),
        "small": (16,),
        "scalar": (),
    }
    positions = fsdp_sharding(
        {name: jax.ShapeDtypeStruct(s, np.float32) for name, s in shapes.items()}, mesh
    )
    cut = {name: position.shard_shape(shapes[name]) for name, position in positions.items()}
    assert cut == shapes | {"kernel": (2, 64, 48), "longest does not divide": (8, 33)}


def test_a_mesh_that_cannot_be_laid_out_is_rejected():
    check_devices(8, 4)
    for fsdp in (0, 3):
        with pytest.raises(ConfigError, match=rf"fsdp={fsdp} does not divide the 8 devices"):
            check_devices(8, fsdp)


def test_arrays_that_every_process_has_are_put_where_they_are_wanted():
    mesh = make_mesh(8, 4)
    tree = {"a": np.arange(512, dtype=np.float32).reshape(8, 64), "b": np.ones(3)}
    placed = sharding.shard(tree, fsdp_sharding(tree, mesh))
    assert placed["a"].addressable_data(0).shape == (8, 16)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(placed), tree)
