"""Contrastive loss, and the division into modalities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from physio_mae_jax.objectives import contrastive
from physio_mae_jax.objectives.contrastive import allowed_negatives, split_modalities
from tests.factories import random_batch

info_nce = jax.jit(contrastive.info_nce)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def unit(key, *shape):
    values = jax.random.normal(jax.random.key(key), shape)
    return values / jnp.linalg.norm(values, axis=-1, keepdims=True) / 0.07**0.5


def test_loss_is_cross_entropy_both_ways():
    first, second = unit(0, 6, 8), unit(1, 6, 8)
    everyone = jnp.ones(6, bool)
    loss, _ = info_nce(first, second, allowed_negatives(jnp.arange(6), everyone, False), everyone)
    logits = np.asarray(first) @ np.asarray(second).T
    expected = [-np.mean(np.diag(x) - np.log(np.exp(x).sum(axis=1))) for x in (logits, logits.T)]
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)


def test_windows_of_one_subject_are_no_negatives_unless_asked():
    subjects, everyone = jnp.array([3, 3, 5]), jnp.ones(3, bool)
    ours = allowed_negatives(subjects, everyone, False)
    assert ours.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    assert allowed_negatives(subjects, everyone, True).sum() == 6


def test_a_window_that_lacks_a_modality_changes_nothing():
    first, second, subjects = unit(0, 5, 8), unit(1, 5, 8), jnp.arange(5)
    present = jnp.array([True, True, True, True, False])
    loss, _ = info_nce(first, second, allowed_negatives(subjects, present, False), present)
    few = jnp.ones(4, bool)
    alone, _ = info_nce(first[:4], second[:4], allowed_negatives(subjects[:4], few, False), few)
    assert float(loss) == pytest.approx(float(alone), rel=1e-6)


def test_every_device_sees_the_windows_of_all():
    """Over eight devices the loss is that of the global batch, not of each device's share."""
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    first, second, everyone = unit(0, 16, 8), unit(1, 16, 8), jnp.ones(16, bool)
    negatives = allowed_negatives(jnp.arange(16), everyone, False)
    alone, _ = info_nce(first, second, negatives, everyone)
    rows = NamedSharding(mesh, PartitionSpec("data"))
    sharded = info_nce(*(jax.device_put(x, rows) for x in (first, second)), negatives, everyone)
    assert float(sharded[0]) == pytest.approx(float(alone), rel=1e-5)


def test_modalities_of_a_window_stay_beside_each_other():
    batch = random_batch(3, 2) | {"subject": jnp.array([7, 8, 9])}
    split = split_modalities(batch)
    np.testing.assert_array_equal(split["signal"][2 * 1 + 1, 0], batch["signal"][1, 1])
    assert split["subject"].tolist() == [7, 7, 8, 8, 9, 9]
