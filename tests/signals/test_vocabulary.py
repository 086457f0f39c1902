"""The table of channel names may grow: what is trained stays what it was."""

import jax
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.signals.channels import channel_id
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY
from physio_mae_jax.training.pretrain_step import init_params
from tests.factories import random_batch, random_params, tiny_model


def table(params):
    found = [
        leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
        if "channel" in [str(key.key) for key in path] and leaf.shape[0] >= NUM_FIRST_NAMES
    ]
    assert len(found) == 1
    return found[0]


def initial_table(model):
    fresh = jax.jit(lambda key: table(init_params(model, MaskConfig(), key, num_channels=2)))
    return np.asarray(fresh(jax.random.key(2)))


def test_first_names_begin_as_if_there_were_no_others():
    small = initial_table(tiny_model())
    large = initial_table(tiny_model(num_channel_names=len(VOCABULARY)))
    assert len(small) == NUM_FIRST_NAMES
    np.testing.assert_array_equal(large[:NUM_FIRST_NAMES], small)
    assert len(np.unique(large, axis=0)) == len(VOCABULARY)


def test_a_name_that_came_later_is_unknown_to_an_earlier_model():
    model = tiny_model()
    params = random_params(model)
    batch = random_batch(1, 2)

    @jax.jit
    def features(ids):
        windows = Windows.of(batch | {"channel_ids": ids})
        return model.apply({"params": params}, windows, method="features")

    def embedded(ids):
        return features(np.asarray([ids], np.int32))

    late = channel_id("AF7")
    assert late >= NUM_FIRST_NAMES
    np.testing.assert_array_equal(embedded([2, late]), embedded([2, 0]))


@pytest.mark.parametrize("number", [0, -1, len(VOCABULARY) + 1])
def test_more_names_than_there_are_or_none_are_rejected(number):
    with pytest.raises(ConfigError, match="num_channel_names"):
        tiny_model(num_channel_names=number)
