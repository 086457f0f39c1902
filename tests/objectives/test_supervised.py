"""Losses of labels, mixing and class weights, against plain formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.objectives.supervised import (
    SupervisedConfig,
    class_weights,
    mix_windows,
    supervised_losses,
)

PLAIN = SupervisedConfig()


def one_hot(labels, count):
    return jnp.asarray(np.eye(count, dtype=np.float32)[labels])


def arrays(seed, rows=7, classes=4):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(rows, classes)) * 3, jnp.float32), rng


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 3), st.floats(0, 0.5))
def test_binary_losses_are_the_formula(seed, gamma, smoothing):
    logits, rng = arrays(seed)
    targets = rng.integers(0, 2, logits.shape).astype(np.float64)
    weights = rng.uniform(0.5, 3, 4)
    config = SupervisedConfig(focal_gamma=gamma, label_smoothing=smoothing)
    ours = supervised_losses(
        logits, jnp.asarray(targets), "multilabel", jnp.asarray(weights), config
    )
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    y = targets * (1 - smoothing) + smoothing / 2
    terms = -y * weights * (1 - p) ** gamma * np.log(p) - (1 - y) * p**gamma * np.log(1 - p)
    np.testing.assert_allclose(ours, terms.mean(axis=1), rtol=2e-4, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 3), st.floats(0, 0.5))
def test_categorical_losses_are_the_formula(seed, gamma, smoothing):
    logits, rng = arrays(seed)
    labels = rng.integers(0, 4, 7)
    weights = rng.uniform(0.5, 3, 4)
    config = SupervisedConfig(focal_gamma=gamma, label_smoothing=smoothing)
    ours = supervised_losses(logits, one_hot(labels, 4), "multiclass", jnp.asarray(weights), config)
    exact = np.asarray(logits, np.float64)
    p = np.exp(exact) / np.exp(exact).sum(axis=1, keepdims=True)
    y = np.eye(4)[labels] * (1 - smoothing) + smoothing / 4
    expected = -(y * (1 - p) ** gamma * np.log(p)).sum(axis=1) * weights[labels]
    np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=1e-5)


def test_plain_cross_entropy_is_that_of_optax():
    logits, rng = arrays(0)
    labels = rng.integers(0, 4, 7)
    ours = supervised_losses(logits, one_hot(labels, 4), "multiclass", jnp.ones(4), PLAIN)
    theirs = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(labels))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_losses_and_gradients_stay_finite_at_extreme_logits():
    logits = jnp.asarray([[200.0, -200.0], [-200.0, 200.0]])
    for kind, targets in (("multilabel", [[0.0, 1.0], [1.0, 1.0]]), ("multiclass", np.eye(2))):
        for gamma in (0.0, 2.0):
            config = SupervisedConfig(focal_gamma=gamma, label_smoothing=0.1)

            def total(values, kind=kind, targets=targets, config=config):
                return supervised_losses(
                    values, jnp.asarray(targets), kind, jnp.ones(2), config
                ).sum()

            value, gradient = jax.value_and_grad(total)(logits)
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


def test_numbers_cost_their_squared_error():
    ours = supervised_losses(
        jnp.asarray([[1.0], [3.0]]), jnp.asarray([[0.0], [1.0]]), "regression", jnp.ones(1), PLAIN
    )
    assert ours.tolist() == [1.0, 4.0]


def test_inverse_weights_make_classes_count_alike():
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    weights = class_weights(np.eye(3)[labels], "multiclass", "inverse")
    totals = np.bincount(labels) * weights
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1, rel=1e-6)
    effective = class_weights(np.eye(3)[labels], "multiclass", "effective")
    assert 1 < effective[2] / effective[0] <= weights[2] / weights[0] + 1e-6
    multi = np.array([[1, 0], [0, 0], [0, 0], [0, 1], [1, 0]])
    np.testing.assert_allclose(class_weights(multi, "multilabel", "inverse"), [1.5, 4.0])
    assert class_weights(np.eye(3)[[0, 1]], "multiclass", "inverse")[2] == 1
    assert class_weights(multi, "multilabel", "none").tolist() == [1, 1]


def test_mixed_windows_and_targets_are_the_same_mixture():
    rng = np.random.default_rng(0)
    signal = jnp.asarray(rng.normal(size=(8, 2, 16)), jnp.float32)
    present = jnp.ones((8, 2), bool)
    targets = one_hot(np.arange(8), 8)
    mixed, soft = mix_windows(jax.random.key(3), signal, present, targets, 0.4)
    np.testing.assert_allclose(mixed, jnp.einsum("bk,kml->bml", soft, signal), atol=1e-5)
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    share = float(soft.max())
    assert 0.5 < share < 1


def test_windows_with_other_channels_are_not_mixed():
    signal = jnp.ones((4, 2, 8))
    present = jnp.asarray([[True, True], [True, False], [False, True], [False, False]])
    targets = one_hot(np.arange(4), 4)
    mixed, soft = mix_windows(jax.random.key(0), signal, present, targets, 0.4)
    np.testing.assert_array_equal(mixed, signal)
    np.testing.assert_array_equal(soft, targets)


def test_wrong_settings_are_reported():
    with pytest.raises(ConfigError, match=r"objective\.balance is 'even'"):
        SupervisedConfig(balance="even")
    with pytest.raises(ConfigError, match=r"objective\.label_smoothing is 1; it must be a number"):
        SupervisedConfig(label_smoothing=1.0)
    with pytest.raises(ConfigError, match=r"objective\.mixup is -1"):
        SupervisedConfig(mixup=-1)


def test_losses_of_samples_average_those_with_a_label():
    rng = np.random.default_rng(3)
    logits = jnp.asarray(rng.normal(size=(4, 2, 10, 3)), jnp.float32)
    labels = rng.integers(-1, 3, (4, 2, 10))
    labels[1] = -1  # a window without any
    weights = rng.uniform(0.5, 2, 3)
    config = SupervisedConfig(focal_gamma=1.5, label_smoothing=0.1)
    losses = supervised_losses(
        logits, jnp.asarray(labels), "segmentation", jnp.asarray(weights), config
    )
    assert losses.shape == (4,)
    assert losses[1] == 0
    known = labels >= 0
    rows = supervised_losses(
        logits[known], one_hot(labels[known], 3), "multiclass", jnp.asarray(weights), config
    )
    np.testing.assert_allclose(losses.mean(), rows.mean(), rtol=1e-5)
    none = supervised_losses(
        logits, jnp.full(labels.shape, -1), "segmentation", jnp.ones(3), config
    )
    assert not none.any()


def test_weights_of_samples_have_mean_one_over_them():
    counts = np.array([[900.0, 50.0, 0.0], [100.0, 0.0, 50.0]])
    weights = class_weights(counts, "segmentation", "inverse")
    total = counts.sum(axis=0)
    np.testing.assert_allclose((weights * total).sum() / total.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(weights * total, (weights * total)[0], rtol=1e-6)
