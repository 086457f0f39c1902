"""What the objective lets the model see, and its parts."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.objectives.losses import (
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


@pytest.fixture(scope="module")
def params() -> Any:
    return random_params(MODEL)


def test_loss_takes_no_gradient_from_visible_samples_of_the_truth(params: Any) -> None:
    """The waveform loss with a fixed prediction depends on hidden samples of the truth alone."""
    batch, mask = random_batch(2, 2), random_mask(2)
    hidden = np.repeat(np.asarray(mask.masked_columns), MODEL.config.patch_samples, axis=1)

    def loss(signal: jax.Array) -> jax.Array:
        target = reconstruction_target(MODEL.config, signal, mask.predicted_ids)
        guess = jnp.zeros_like(target.waveform)
        return waveform_error(guess, target.waveform, jnp.ones(guess.shape[:-1])).sum()

    gradient = np.abs(jax.jit(jax.grad(loss))(batch["signal"])).max(axis=1)
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
