"""Laws of a decoder that omits masked columns."""

import functools

import jax
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.decoder import num_decoded_columns
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.masking import MaskConfig, predict_share
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from tests.factories import random_batch, random_mask, random_params, tiny_model
from tests.training.pretrain_tasks import pretrain_task

MODEL = tiny_model()
BATCH = random_batch(2, 2)
WHOLE = random_mask(2)
HALF = predict_share(jax.random.key(3), WHOLE, 0.5)


@functools.partial(jax.jit, static_argnames="model")
def predict(params, mask, model=MODEL):
    return model.apply({"params": params}, Windows.of(BATCH), *mask[:2])


def test_columns_that_are_not_predicted_are_not_decoded():
    visible, predicted = HALF.visible_ids.shape[1], HALF.predicted_ids.shape[1]
    assert num_decoded_columns(MODEL.config, *HALF[:2]) == visible + predicted
    assert num_decoded_columns(MODEL.config, *WHOLE[:2]) == MODEL.config.num_columns
    joint = tiny_model(decoder_attention="joint").config
    assert num_decoded_columns(joint, *HALF[:2]) == joint.num_columns


def test_without_mixing_a_column_is_predicted_alike_beside_any_others():
    """Every prediction is of its own column, wherever that is among the decoded ones."""
    params = random_params(MODEL)
    blocks = params["decoder"]["stack"]["blocks"]
    params["decoder"]["stack"]["blocks"] = jax.tree.map(np.zeros_like, blocks)
    whole, half = predict(params, WHOLE), predict(params, HALF)
    for row in range(2):
        indices = np.searchsorted(WHOLE.predicted_ids[row], HALF.predicted_ids[row])
        np.testing.assert_allclose(half.waveform[row], whole.waveform[row][:, indices], atol=1e-5)
        np.testing.assert_allclose(half.patches[row], whole.patches[row][:, indices], atol=1e-5)


def test_training_predicts_a_share_and_evaluation_all():
    spec = pretrain_task(predicted_share=0.5)
    examples, key = spec.examples(random_batch(2, 2)), jax.random.key(0)
    training, evaluated = spec.training_mask(key, examples), spec.mask(key, examples)
    assert training.predicted_ids.shape[1] == evaluated.predicted_ids.shape[1] // 2
    np.testing.assert_array_equal(training.visible_ids, evaluated.visible_ids)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": MaskConfig(kind="time_scale")}, "objective.mask.kind"),
        ({"waveform_columns": "all"}, "objective.waveform_columns"),
    ],
)
def test_objectives_that_predict_every_column_are_rejected(changes, message):
    with pytest.raises(ConfigError, match=message):
        ObjectiveConfig(predicted_share=0.5, **changes).check_against(MODEL.config)
    ObjectiveConfig(predicted_share=0.5).check_against(MODEL.config)
