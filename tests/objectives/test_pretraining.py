"""Losses and their weights, and what the objective lets the model see."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.objectives.losses import (
    pixel_weights,
    scale_weights,
    scalogram_error,
    waveform_error,
)
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import (
    ObjectiveConfig,
    forward,
    pretraining_loss,
    reconstruction_target,
    validation_errors,
)
from tests.factories import random_batch, random_mask, random_params, tiny_model

MODEL = tiny_model()
BAND = {"band_hz": (0.5, 50.0), "edge_octaves": 1.0, "floor": 0.1, "tilt": 0.0}


@pytest.fixture(scope="module")
def params() -> Any:
    return random_params(MODEL)


def test_scale_weights_favor_the_band_and_keep_the_size_of_the_loss() -> None:
    frequencies = np.geomspace(250, 0.05, 200)
    weights = scale_weights(frequencies, **BAND)
    assert weights.mean() == pytest.approx(1.0, abs=1e-5)
    inside = weights[(frequencies > 1) & (frequencies < 30)]
    assert np.ptp(inside) < 1e-5
    at = lambda hz: np.interp(-np.log(hz), -np.log(frequencies), weights) / inside[0]  # noqa: E731
    assert at(0.5) == pytest.approx(0.55, abs=0.02)
    assert at(50) == pytest.approx(0.55, abs=0.02)
    assert at(200) == pytest.approx(0.1, abs=1e-3)
    tilted = scale_weights(frequencies, **(BAND | {"tilt": 1.0}))
    ratio = (tilted / weights)[(frequencies > 1) & (frequencies < 30)]
    assert ratio.max() / ratio.min() == pytest.approx(30, rel=0.1)


def test_weighted_error_is_the_sum_over_planes_of_means() -> None:
    """Mean over (pf, pt) in each plane, times its weight, summed, token mean."""
    rng = np.random.default_rng(0)
    predicted, target = rng.normal(size=(2, 2, 3, 5, 4, 3 * 4 * 20)).astype(np.float32)
    planes = np.array([1.0, 0.5, 0.1], np.float32)
    scales = rng.uniform(0.5, 1.5, 16).astype(np.float32)
    present = jnp.array([[True, True, False], [True, True, True]])
    counted = jnp.broadcast_to(present[:, :, None, None], (2, 3, 5, 4)).astype(jnp.float32)
    ours = scalogram_error(predicted, target, pixel_weights(scales, planes, 4, 20), counted)
    square = ((predicted - target) ** 2).reshape(2, 3, 5, 4, 3, 4, 20)
    weighted = square * scales.reshape(4, 1, 4, 1)
    per_token = (weighted.mean(axis=(-2, -1)) * planes).sum(axis=-1)
    np.testing.assert_allclose(ours[0], per_token[0, :2].mean(), rtol=1e-5)
    np.testing.assert_allclose(ours[1], per_token[1].mean(), rtol=1e-5)


def test_loss_ignores_visible_columns_and_absent_channels() -> None:
    batch, mask = random_batch(3, 2), random_mask(3)
    cfg = MODEL.config
    truth = reconstruction_target(cfg, batch["signal"], mask.predicted_ids)
    visible = np.repeat(~np.asarray(mask.masked_columns), cfg.patch_samples, axis=1)[:, None]
    changed = reconstruction_target(
        cfg, jnp.where(visible, 7.0, batch["signal"]), mask.predicted_ids
    )
    np.testing.assert_array_equal(changed.waveform, truth.waveform)
    counted = jnp.ones(truth.waveform.shape[:-1]).at[:, 1].set(0)
    guess = truth.waveform.at[:, 1].add(100.0)
    assert (waveform_error(guess, truth.waveform, counted) == 0).all()


def test_loss_takes_no_gradient_from_visible_samples_of_the_truth(params: Any) -> None:
    """The waveform loss with a fixed prediction depends on hidden samples of the truth alone."""
    batch, mask = random_batch(2, 2), random_mask(2)
    hidden = np.repeat(np.asarray(mask.masked_columns), MODEL.config.patch_samples, axis=1)

    def loss(signal: jax.Array) -> jax.Array:
        target = reconstruction_target(MODEL.config, signal, mask.predicted_ids)
        guess = jnp.zeros_like(target.waveform)
        return waveform_error(guess, target.waveform, jnp.ones(guess.shape[:-1])).sum()

    gradient = np.abs(jax.grad(loss)(batch["signal"])).max(axis=1)
    assert (gradient[~hidden] == 0).all()
    assert (gradient[hidden] > 0).all()


def test_bridged_wavelets_see_nothing_hidden_and_plain_ones_do(params: Any) -> None:
    """What is masked must not reach the prediction through a long wavelet."""
    batch, mask = random_batch(2, 2), random_mask(2)
    hidden = np.repeat(np.asarray(mask.masked_columns), MODEL.config.patch_samples, axis=1)[:, None]
    other = batch | {"signal": jnp.where(hidden, -batch["signal"], batch["signal"])}

    def change(objective: ObjectiveConfig) -> float:
        predict = jax.jit(lambda b: forward(MODEL, objective, params, b, mask).predicted.patches)
        first, second = predict(batch), predict(other)
        return float(jnp.abs(first - second).max())

    assert change(ObjectiveConfig(mask_before_wavelet=True)) == 0
    assert change(ObjectiveConfig(mask_before_wavelet=False)) > 1e-3


def test_loss_is_its_two_parts(params: Any) -> None:
    batch, mask = random_batch(2, 2), random_mask(2)
    objective = ObjectiveConfig(waveform_weight=2.5)
    loss, parts = jax.jit(lambda p: pretraining_loss(MODEL, objective, p, batch, mask))(params)
    assert float(loss) == pytest.approx(
        float(parts["scalogram_loss"] + 2.5 * parts["waveform_loss"]), rel=1e-6
    )


def test_baselines_are_what_they_say(params: Any) -> None:
    """On a straight line the line baseline is perfect; on noise the mean's error is about 1."""
    batch, mask = random_batch(8, 2, seed=3), random_mask(8)
    measure = jax.jit(lambda b: validation_errors(MODEL, ObjectiveConfig(), params, b, mask))
    noise = measure(batch)
    assert np.mean(noise["waveform/mean"]) == pytest.approx(1.0, abs=0.1)
    assert np.mean(noise["waveform/line"]) > np.mean(noise["waveform/mean"])
    ramp = jnp.broadcast_to(jnp.linspace(-1.7, 1.7, 400), (8, 2, 400))
    line = measure(batch | {"signal": ramp})
    assert np.mean(line["waveform/line"]) < 0.2 * np.mean(line["waveform/mean"])


def test_impossible_objectives_are_rejected() -> None:
    with pytest.raises(ConfigError, match="above 0 to below 1"):
        MaskConfig(mask_ratio=1.0)
    with pytest.raises(ConfigError, match="leaves 0 of 20 columns visible"):
        ObjectiveConfig(mask=MaskConfig(mask_ratio=0.99)).check_against(MODEL.config)
    with pytest.raises(ConfigError, match="2 entries"):
        ObjectiveConfig(plane_weights=(1.0, 0.5)).check_against(MODEL.config)
