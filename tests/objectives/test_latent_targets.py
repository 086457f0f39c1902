"""Targets of the teacher, and the error of predicted latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.latent_targets import latent_error, latent_loss, teacher_latents
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig, forward
from tests.factories import initial_params, random_batch, random_mask, tiny_model

MODEL = tiny_model(depth=1, latent_head=True)


def test_targets_are_the_standardized_latents_of_whole_windows():
    params, batch = initial_params(MODEL, MaskConfig()), random_batch(2, 2)
    ids = jnp.array([[3, 0], [19, 7]])
    target = jax.jit(lambda p: teacher_latents(MODEL, p, batch, ids))(params)
    assert target.shape == (2, 2, 2, 4, 32)
    assert target.dtype == jnp.float32
    np.testing.assert_allclose(target.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(target.std(axis=-1), 1, atol=1e-3)
    whole = jax.jit(lambda p: MODEL.apply({"params": p}, Windows.of(batch), method="grid"))(params)
    latent = np.asarray(whole[1, 0, 19, 2])
    expected = (latent - latent.mean()) / latent.std()
    np.testing.assert_allclose(target[1, 0, 0, 2], expected, atol=1e-3)


def test_the_error_counts_weighted_tokens_only_and_is_linear_far_away():
    target = jnp.zeros((1, 1, 2, 1, 3))
    predicted = target.at[0, 0, 0].set(0.5).at[0, 0, 1].set(3.0)
    both = latent_error(predicted, target, jnp.ones((1, 1, 2, 1)))
    assert both[0] == pytest.approx((0.125 + 2.5) / 2)
    first = latent_error(predicted, target, jnp.array([1.0, 0.0]).reshape(1, 1, 2, 1))
    assert first[0] == pytest.approx(0.125)


def test_the_loss_trains_the_model_and_never_the_teacher():
    params, batch, mask = initial_params(MODEL, MaskConfig()), random_batch(2, 2), random_mask(2)

    def loss(params, teacher):
        result = forward(MODEL, ObjectiveConfig(), params, batch, mask)
        return latent_loss(MODEL, teacher, batch, result)

    of_model, of_teacher = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, params)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(of_teacher))
    assert jnp.abs(of_model["decoder"]["heads"]["latent"]["kernel"]).max() > 0
    assert jnp.abs(of_model["encoder"]["tokenizer"]["position"]).max() > 0
