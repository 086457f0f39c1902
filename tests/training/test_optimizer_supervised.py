"""Learning rates by depth, frozen parts and weight decay of fine-tuning."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    hold_encoder,
    layerwise_lr_scale,
    make_optimizer,
    weight_decay_mask,
)
from tests.factories import random_variables, tiny_model


@functools.cache
def classifier_params():
    cfg = tiny_model(depth=3).config
    model = Classifier(cfg, HeadConfig(num_classes=2))
    return random_variables(model, Windows.blank(2, 2, cfg.num_samples))["params"]


def first_update(optimizer, params):
    """Return the update that gradients of one make."""

    @jax.jit
    def update(params):
        ones = jax.tree.map(jnp.ones_like, params)
        return optimizer.update(ones, optimizer.init(params), params)[0]

    return update(params)


def test_learning_rates_really_decay_with_depth():
    """Constant gradients under plain descent: each step is the learning rate of its parameter."""
    params = classifier_params()
    multipliers = layerwise_lr_scale(params, 0.5, num_blocks=3)
    optimizer = make_optimizer(
        OptimizerConfig(peak_learning_rate=0.1, end_learning_rate=0.1, weight_decay=0.0),
        10,
        multipliers,
    )
    updates = first_update(optimizer, params)
    blocks = updates["encoder"]["stack"]["blocks"]["mlp"]["expand"]["kernel"]
    np.testing.assert_allclose(
        -np.asarray(blocks)[:, 0, 0], 0.1 * np.array([0.125, 0.25, 0.5]), rtol=1e-3
    )
    tokenizer = updates["encoder"]["tokenizer"]["position"]
    np.testing.assert_allclose(-np.asarray(tokenizer).ravel()[0], 0.1 * 0.0625, rtol=1e-3)
    np.testing.assert_allclose(-np.asarray(updates["output"]["kernel"]).ravel()[0], 0.1, rtol=1e-3)


def test_layers_of_a_hybrid_have_the_rates_of_their_depth():
    """Three layers: a group of two that ends in attention, and one that is left."""
    groups = {"blocks": {"a": jnp.ones((1, 1, 4))}, "attention_block": {"a": jnp.ones((1, 4))}}
    stack = {"groups": groups, "blocks": {"a": jnp.ones((1, 4))}, "norm": {"a": jnp.ones(4)}}
    params = {"encoder": {"stack": stack}}
    scale = layerwise_lr_scale(params, 0.5, 3, attention_every=2)["encoder"]["stack"]
    assert scale["groups"]["blocks"]["a"].tolist() == [[[0.125]]]
    assert scale["groups"]["attention_block"]["a"].tolist() == [[0.25]]
    assert scale["blocks"]["a"].tolist() == [[0.5]]
    assert scale["norm"]["a"] == 1


def test_the_encoder_is_held_then_released():
    params = {"encoder": {"kernel": jnp.ones(2)}, "output": {"kernel": jnp.ones(2)}}
    transform = hold_encoder(num_steps=2, warmup_steps=4)
    state, shares = transform.init(params), []
    for _ in range(8):
        updates, state = transform.update(params, state)
        shares.append(float(updates["encoder"]["kernel"][0]))
        np.testing.assert_array_equal(updates["output"]["kernel"], 1)
    np.testing.assert_allclose(shares, [0, 0, 0.25, 0.5, 0.75, 1, 1, 1])


def test_the_scale_of_the_encoder_spares_the_head():
    params = classifier_params()
    whole, scaled = (layerwise_lr_scale(params, 0.5, 3, encoder_scale=s) for s in (1.0, 0.1))
    for name, factor in (("encoder", 0.1), ("output", 1.0)):
        for first, second in zip(*map(jax.tree.leaves, (whole[name], scaled[name])), strict=True):
            np.testing.assert_allclose(second, factor * first, rtol=1e-6)


@pytest.mark.parametrize("frozen", [0, 2, 3])
def test_frozen_parts_do_not_move_whatever_the_weight_decay(frozen):
    params = classifier_params()
    optimizer = make_optimizer(
        OptimizerConfig(peak_learning_rate=0.1, weight_decay=0.5),
        10,
        layerwise_lr_scale(params, 0.75, 3, frozen),
    )
    updates = first_update(optimizer, params)
    moved = jax.tree.map(lambda u: np.abs(np.asarray(u)).max() > 0, updates)
    assert not any(jax.tree.leaves(moved["encoder"]["tokenizer"]))
    blocks = updates["encoder"]["stack"]["blocks"]["mlp"]["expand"]["bias"]
    still = [not np.abs(np.asarray(block)).max() for block in blocks]
    assert still == [i < frozen for i in range(3)]
    assert all(jax.tree.leaves(moved["encoder"]["stack"]["norm"])) == (frozen < 3)
    assert all(jax.tree.leaves((moved["head"], moved["output"])))


def test_weight_decay_leaves_norms_biases_and_positions_alone():
    params = classifier_params()
    flags = weight_decay_mask(params)
    assert not flags["encoder"]["tokenizer"]["position"]
    assert not flags["encoder"]["stack"]["norm"]["scale"]
    assert flags["output"]["kernel"]
    assert not flags["output"]["bias"]
