"""Weights of the scalogram loss, and its weighted error."""

import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.objectives.losses import (
    pixel_weights,
    scale_weights,
    scalogram_error,
    waveform_error,
)
from physio_mae_jax.objectives.pretraining import (
    reconstruction_target,
)
from tests.factories import random_batch, random_mask, tiny_model

MODEL = tiny_model()
BAND = {"band_hz": (0.5, 50.0), "edge_octaves": 1.0, "floor": 0.1, "tilt": 0.0}


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
