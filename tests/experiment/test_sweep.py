"""Settings of a sweep may grow but not change."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from ml_collections import ConfigDict

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.sweep import check_workers, record_settings
from physio_mae_jax.experiment.typed_config import ExperimentConfig


def settings_of(config):
    return ExperimentConfig(command="compare", settings=config.to_dict())


def test_settings_of_a_folder_may_grow_but_not_change(tmp_path):
    config = ConfigDict(
        {"models": "a", "a": {"rate": 1.0}, "b": {"rate": 1.0}, "data": {"x": (1, 2)}}
    )
    record_settings(settings_of(config), tmp_path, ("models", "b"))
    config.models = "a,b"
    config.b.rate = 2.0
    record_settings(settings_of(config), tmp_path, ("models",))
    config.a.rate = 3.0
    with pytest.raises(ConfigError, match=r"different values of a\.rate"):
        record_settings(settings_of(config), tmp_path, ("models",))
    assert json.loads((tmp_path / "settings.json").read_text())["a"] == {"rate": 1.0}


def test_no_workers_are_rejected():
    with pytest.raises(ConfigError, match="num_workers is 0"):
        check_workers(0)


def test_concurrent_starts_in_one_folder(tmp_path):
    """They write the same settings at the same moment, each by a name of its own."""
    config = ConfigDict({"seed": 0, "many": {str(number): number for number in range(2000)}})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: record_settings(settings_of(config), tmp_path, ()), range(64)))
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
    assert json.loads((tmp_path / "settings.json").read_text())["seed"] == 0
