"""The table of channel names may grow: what is trained stays what it was."""

import json

import jax
import numpy as np
import pytest

from physio_mae_jax.data.channel_plan import ChannelPlanner, KnownChannels
from physio_mae_jax.data.format_version import add_version
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.run_metadata import count_channel_names
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.signals.channels import channel_id
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY
from physio_mae_jax.training.checkpoint import reject_other_model
from tests.factories import random_batch, random_params, tiny_model


def table(params):
    found = [
        leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
        if "channel" in [str(key.key) for key in path] and leaf.shape[0] >= NUM_FIRST_NAMES
    ]
    assert len(found) == 1
    return np.asarray(found[0])


def test_first_names_begin_as_if_there_were_no_others():
    small = table(random_params(tiny_model()))
    large = table(random_params(tiny_model(num_channel_names=len(VOCABULARY))))
    assert len(small) == NUM_FIRST_NAMES
    np.testing.assert_array_equal(large[:NUM_FIRST_NAMES], small)
    assert len(np.unique(large, axis=0)) == len(VOCABULARY)


def test_a_name_that_came_later_is_unknown_to_an_earlier_model():
    model = tiny_model()
    params = random_params(model)
    batch = random_batch(1, 2)

    def embedded(ids):
        ids = np.asarray([ids], np.int32)
        windows = Windows.of(batch | {"channel_ids": ids})
        return model.apply({"params": params}, windows, method="features")

    late = channel_id("AF7")
    assert late >= NUM_FIRST_NAMES
    np.testing.assert_array_equal(embedded([2, late]), embedded([2, 0]))


@pytest.mark.parametrize("number", [0, -1, len(VOCABULARY) + 1])
def test_more_names_than_there_are_or_none_are_rejected(number):
    with pytest.raises(ConfigError, match="num_channel_names"):
        tiny_model(num_channel_names=number)


def test_a_run_is_gone_on_with_the_names_it_began_with(tmp_path):
    assert count_channel_names(tmp_path) == len(VOCABULARY)
    for step, model, number in ((1, {}, NUM_FIRST_NAMES), (2, {"num_channel_names": 60}, 60)):
        folder = tmp_path / "checkpoints" / str(step) / "model_spec"
        folder.mkdir(parents=True)
        (folder / "metadata").write_text(json.dumps(add_version({"model": model})))
        assert count_channel_names(tmp_path) == number


def test_units_that_were_not_kept_once_are_no_other_settings(tmp_path):
    ours = {"input": {"units": {"II": "mV"}}}
    reject_other_model(tmp_path, {"input": {"units": {}}}, ours)
    reject_other_model(tmp_path, {"input": {"units": {"II": "mV", "V1": "mV"}}}, ours)
    with pytest.raises(ConfigError, match=r"input\.units"):
        reject_other_model(tmp_path, {"input": {"units": {"II": "uV"}}}, ours)


def info(*names, units=()):
    return RecordingInfo(
        record_id="r",
        subject_id="s",
        channel_names=names,
        sampling_rate_hz=100.0,
        num_samples=10,
        units=units,
    )


def test_a_model_knows_channels_by_the_names_of_its_contract():
    earlier = KnownChannels(("Fp1", "C3", "II"), {"Fp1": "uV"}).plan(info("II", "EEG C3", "Fp1"))
    assert earlier.channels == ("EEG_C3", "EEG_FP1", "II")
    assert earlier.ids.tolist() == [0, 0, 2]
    now = KnownChannels(("EEG_FP1", "EEG_C3", "II")).plan(info("II", "EEG C3", "Fp1"))
    assert now.ids.tolist() == [channel_id(name) for name in now.channels]


def test_a_plan_tells_what_is_there():
    plan = ChannelPlanner("II,Fp1,PPG").plan(info("ii", "EEG FP1-REF"))
    assert plan.present[0] == ("II", "EEG_FP1")
    assert plan.present[1].tolist() == [channel_id("II"), channel_id("EEG_FP1")]
