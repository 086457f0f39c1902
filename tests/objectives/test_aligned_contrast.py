"""Contrast of time steps at their best lag: its definition, its batch, and its settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.objectives import aligned_contrast
from physio_mae_jax.objectives.aligned_contrast import rotation_steps, soft_maximum
from physio_mae_jax.objectives.contrastive import (
    ContrastiveConfig,
    allowed_negatives,
    contrastive_pretraining_loss,
    split_modalities,
)
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.signals.lagged_similarity import delayed, pairwise_similarity
from physio_mae_jax.training.model_spec import build_autoencoder, init_params
from tests.factories import random_batch, random_mask, tiny_model

LAGS, ROTATIONS = (1, 2, 4), (6, 9)
ALIGNED = ContrastiveConfig(
    weight=1.0, view="whole", readout="aligned", projection_width=8, step_width=4
)
loss_of = jax.jit(aligned_contrast.aligned_info_nce, static_argnums=(4, 5))


def unit(seed, count=8):
    values = np.random.default_rng(seed).normal(size=(count, 16, 3))
    norm = np.linalg.norm(values, axis=(1, 2), keepdims=True)
    return jnp.asarray(values / norm / 0.07**0.5, jnp.float32)


def test_the_loss_is_cross_entropy_over_windows_and_rotations():
    first, second, everyone = unit(0), unit(1), jnp.ones(8, bool)
    negatives = allowed_negatives(jnp.arange(8), everyone, True)
    loss, _ = loss_of(first, second, negatives, everyone, LAGS, ROTATIONS)
    logits = np.asarray(soft_maximum(pairwise_similarity(first, second, LAGS)), np.float64)
    rotated = [
        [
            soft_maximum(
                jnp.stack([(a * jnp.roll(b, turn + lag, axis=0)).sum() for lag in LAGS])
            ).item()
            for turn in ROTATIONS
        ]
        for a, b in zip(first, second, strict=True)
    ]
    expected = []
    for one in (logits, logits.T):
        candidates = np.concatenate([one, rotated], axis=1)
        expected.append(np.mean(np.log(np.exp(candidates).sum(axis=1)) - np.diag(one)))
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-4)


def test_partners_at_any_lag_of_the_range_match_and_at_others_do_not():
    second, everyone = unit(1), jnp.ones(8, bool)
    negatives = allowed_negatives(jnp.arange(8), everyone, True)
    found = {
        lag: loss_of(delayed(second, (lag,))[:, 0], second, negatives, everyone, LAGS, ROTATIONS)
        for lag in (*LAGS, 7)
    }
    assert all(float(found[lag][1]) == 1 for lag in LAGS)
    assert float(found[7][0]) > 3 * max(float(found[lag][0]) for lag in LAGS)


def test_every_device_sees_the_windows_of_all():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    first, second, everyone = unit(0), unit(1), jnp.ones(8, bool)
    negatives = allowed_negatives(jnp.arange(8), everyone, True)
    rows = NamedSharding(mesh, PartitionSpec("data"))
    alone = loss_of(first, second, negatives, everyone, LAGS, ROTATIONS)
    given = [jax.device_put(values, rows) for values in (first, second, negatives, everyone)]
    sharded = loss_of(*given, LAGS, ROTATIONS)
    assert float(sharded[0]) == pytest.approx(float(alone[0]), rel=1e-5)
    assert float(sharded[1]) == float(alone[1])


def test_no_rotation_is_within_a_second_of_the_window():
    assert rotation_steps(3, 200, 0.05) == (20, 100, 180)
    assert rotation_steps(0, 200, 0.05) == ()
    assert rotation_steps(8, 30, 0.05) == ()
    assert len(rotation_steps(8, 42, 0.05)) == 3


def test_a_window_that_lacks_a_channel_changes_no_aligned_loss():
    model = build_autoencoder(tiny_model(depth=1).config, ALIGNED)
    assert isinstance(model, ContrastiveAutoencoder)
    params = jax.jit(lambda key: init_params(model, MaskConfig(), key, 1))(jax.random.key(0))
    batch = random_batch(5, 2) | {"subject": jnp.arange(5)}
    batch["channel_mask"] = batch["channel_mask"].at[4, 0].set(False)

    @jax.jit
    def measure(params, batch, mask):
        return jax.value_and_grad(
            lambda params: contrastive_pretraining_loss(
                model, ObjectiveConfig(), ALIGNED, params, split_modalities(batch), mask
            ),
            has_aux=True,
        )(params)

    (_, parts), gradient = measure(params, batch, random_mask(10))
    changed = batch | {"signal": batch["signal"].at[4].multiply(-3.0)}
    (_, others), _ = measure(params, changed, random_mask(10))
    assert float(others["contrastive_loss"]) == pytest.approx(
        float(parts["contrastive_loss"]), rel=1e-5
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.abs(gradient["step_projection"]["contract"]["kernel"]).max() > 0


def test_settings_that_cannot_be_aligned_are_reported():
    model = tiny_model().config
    ALIGNED.check_against(model)
    with pytest.raises(ConfigError, match=r"set contrastive\.view to 'whole'"):
        ContrastiveConfig(weight=1.0, readout="aligned").check_against(model)
    with pytest.raises(ConfigError, match=r"windows of 3\.9 s or more"):
        ContrastiveConfig(
            weight=1.0, readout="aligned", view="whole", lag_seconds=(0.1, 1.9)
        ).check_against(tiny_model(num_samples=300).config)
