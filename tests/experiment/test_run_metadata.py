"""Runs are resumed with the channel names that they began with."""

import json

from physio_mae_jax.data.format_version import add_version
from physio_mae_jax.experiment.run_metadata import count_channel_names
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES, VOCABULARY


def test_a_run_is_gone_on_with_the_names_it_began_with(tmp_path):
    assert count_channel_names(tmp_path) == len(VOCABULARY)
    for step, model, number in ((1, {}, NUM_FIRST_NAMES), (2, {"num_channel_names": 60}, 60)):
        folder = tmp_path / "checkpoints" / str(step) / "model_spec"
        folder.mkdir(parents=True)
        (folder / "metadata").write_text(json.dumps(add_version({"model": model})))
        assert count_channel_names(tmp_path) == number
