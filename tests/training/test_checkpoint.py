"""Checkpoints of runs that stored no units have no other settings."""

import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.training.checkpoint import reject_other_model


def test_units_that_were_not_kept_once_are_no_other_settings(tmp_path):
    ours = {"input": {"units": {"II": "mV"}}}
    reject_other_model(tmp_path, {"input": {"units": {}}}, ours)
    reject_other_model(tmp_path, {"input": {"units": {"II": "mV", "V1": "mV"}}}, ours)
    with pytest.raises(ConfigError, match=r"input\.units"):
        reject_other_model(tmp_path, {"input": {"units": {"II": "uV"}}}, ours)


def test_a_setting_omitted_at_its_default_still_differs_from_that_of_the_run(tmp_path):
    with pytest.raises(ConfigError, match=r"objective\.latent_weight: 1\.0 in the run, 0\.0"):
        reject_other_model(tmp_path, {"objective": {"latent_weight": 1.0}}, {"objective": {}})
    reject_other_model(tmp_path, {"objective": {"latent_weight": 0.0}}, {"objective": {}})
