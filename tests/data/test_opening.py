"""Data whose channels cannot be distinguished is rejected when it is opened."""

from pathlib import Path

import pytest

from physio_mae_jax.commands.pretrain import build_pretraining
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.vocabulary import VOCABULARY
from tests.data.unclear_folders import write
from tests.runs import pretraining_config, typed


def pretrain(folder: Path, workdir: Path, **changes):
    config = pretraining_config(folder.parent)
    config.data.sets, config.data.path, config.data.channels = "folder", str(folder), ""
    config.data.split_rule = "random=|0.5|"
    for name, value in changes.items():
        config.model[name] = value
    return build_pretraining(typed(config), workdir)


def test_training_on_channels_that_names_do_not_tell_apart_is_rejected(tmp_path):
    for name in "abcd":
        write(tmp_path / "f", name, ["left", "right"])
    with pytest.raises(ConfigError, match=r"does not know left, right.*channel_embedding=False"):
        pretrain(tmp_path / "f", tmp_path / "w")
    run = pretrain(tmp_path / "f", tmp_path / "v", channel_embedding=False)
    assert list(run.model_spec["input"]["channels"]) == ["left", "right"]


def test_bare_electrodes_are_told_apart(tmp_path):
    for name in "abcd":
        write(tmp_path / "f", name, ["Fp1", "C3", "AF3"])
    run = pretrain(tmp_path / "f", tmp_path / "w")
    assert tuple(run.model_spec["input"]["channels"]) == ("EEG_FP1", "EEG_C3", "EEG_AF3")
    assert run.model_spec["model"]["num_channel_names"] == len(VOCABULARY)


def test_weights_and_a_temperature_exclude_each_other(tmp_path):
    config = pretraining_config(tmp_path)
    config.data.sets, config.data.sampling_temperature = "ptbxl:2+bidmc:1", 2.0
    with pytest.raises(ConfigError, match=r"sampling_temperature=2 would change them"):
        typed(config)
