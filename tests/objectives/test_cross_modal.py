"""Reconstruction of one modality of a window from the other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.configs import PretrainConfig
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec
from physio_mae_jax.experiment.typed_config import read_config
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.contrastive import (
    ContrastiveConfig,
    contrastive_pretraining_loss,
    split_modalities,
)
from physio_mae_jax.objectives.cross_modal import (
    cross_modal_loss,
    cross_modal_mask,
    join_modalities,
)
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.training.model_spec import build_autoencoder, init_params
from tests.factories import random_batch, random_mask, tiny_model
from tests.settings import config_of, with_value

CROSS = ContrastiveConfig(weight=1.0, cross_modal_weight=1.0)
MODEL = build_autoencoder(tiny_model(depth=1).config, CROSS)


@pytest.fixture(scope="module")
def params():
    init = jax.jit(lambda key: init_params(MODEL, MaskConfig(), key, CROSS.channels_together))
    return init(jax.random.key(0))


@jax.jit
def loss_of(params, batch, mask):
    return cross_modal_loss(MODEL, ObjectiveConfig(), params, split_modalities(batch), mask)


def test_joining_undoes_splitting():
    batch = random_batch(3, 2) | {"subject": jnp.arange(3)}
    joined = join_modalities(split_modalities(batch))
    jax.tree.map(np.testing.assert_array_equal, joined, batch)


def test_one_channel_is_hidden_and_its_masked_columns_are_scored():
    mask, present = random_mask(8), jnp.ones((4, 2), bool).at[3, 0].set(False)
    hidden = cross_modal_mask(mask, present, MODEL.config)
    assert hidden.masked_channels.tolist() == [[False, True], [True, False]] * 2
    assert hidden.scored.all(axis=(2, 3)).tolist() == [
        [False, True],
        [True, False],
        [False, True],
        [False, False],  # lacks a channel
    ]
    np.testing.assert_array_equal(hidden.predicted_ids, mask.predicted_ids[::2])
    assert not hidden.masked_columns.any()


def test_the_hidden_channel_is_predicted_from_the_other_alone(params):
    """The prediction depends on the seen channel in every column, and not on the hidden one."""
    batch, mask = split_modalities(random_batch(2, 2)), random_mask(4)
    hidden = cross_modal_mask(mask, jnp.ones((2, 2), bool), MODEL.config)
    pairs = join_modalities(batch)

    @jax.jit
    def predict(signal):
        windows = Windows.of(pairs)._replace(signal=signal)
        return MODEL.apply(
            {"params": params},
            windows,
            hidden.visible_ids,
            hidden.predicted_ids,
            hidden.masked_channels,
        ).waveform

    found = predict(pairs["signal"])
    hidden_changed = predict(pairs["signal"].at[0, 1].multiply(-2.0))
    np.testing.assert_allclose(found[0, 1], hidden_changed[0, 1], atol=1e-6)
    for column in (0, MODEL.config.num_columns - 1):
        at = column * MODEL.config.patch_samples
        seen_changed = predict(pairs["signal"].at[0, 0, at].add(5.0))
        assert np.abs(found[0, 1] - seen_changed[0, 1]).max() > 1e-6


def test_a_window_that_lacks_a_channel_changes_no_loss(params):
    batch, mask = random_batch(3, 2), random_mask(6)
    batch["channel_mask"] = batch["channel_mask"].at[2, 0].set(False)
    loss = loss_of(params, batch, mask)
    changed = batch | {"signal": batch["signal"].at[2].multiply(-3.0)}
    assert float(loss) == pytest.approx(float(loss_of(params, changed, mask)), rel=1e-5)


def test_the_loss_is_added_with_its_weight(params):
    batch = split_modalities(random_batch(3, 2) | {"subject": jnp.arange(3)})

    def total(weight):
        settings = dataclasses.replace(CROSS, cross_modal_weight=weight)
        return jax.jit(
            lambda: contrastive_pretraining_loss(
                MODEL, ObjectiveConfig(), settings, params, batch, random_mask(6)
            )
        )()

    (loss, parts), (without, _) = total(0.5), total(0.0)
    added = 0.5 * float(parts["cross_modal_loss"])
    assert added > 0
    assert float(loss) == pytest.approx(float(without) + added, rel=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("objective.mask.kind", "time_scale", "set it to 'tube'"),
        ("model.channel_attention", False, "needs attention across channels"),
    ],
)
def test_settings_that_cannot_be_combined_are_reported(key, value, message):
    config = config_of("pretrain", "preset=debug,variant=contrastive")
    config = with_value(config, "contrastive.cross_modal_weight", 1.0)
    typed = read_config(PretrainConfig, with_value(config, key, value))
    with pytest.raises(ConfigError, match=message):
        build_pretrain_spec(typed)
