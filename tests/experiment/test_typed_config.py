"""Typed settings name what is missing or is not a number."""

import copy
import dataclasses

import pytest
from ml_collections import ConfigDict

from physio_mae_jax.data.opening import DataConfig
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec
from physio_mae_jax.experiment.typed_config import to_dataclass
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.signals.wavelet_bank import WaveletConfig
from tests.runs import typed
from tests.settings import config_of, with_value


def test_missing_sections_and_settings_are_named():
    config = config_of("pretrain", "preset=debug")
    with pytest.raises(ConfigError, match=r"model\.wavelet is missing"):
        build_pretrain_spec(typed(with_value(config, "model", ConfigDict())))
    no_width = copy.deepcopy(config)
    with no_width.unlocked():
        del no_width.model.width
    with pytest.raises(ConfigError, match=r"model\.width is missing"):
        build_pretrain_spec(typed(no_width))
    section = config.data.to_dict()
    del section["sets"]
    with pytest.raises(ConfigError, match=r"data\.sets is missing"):
        to_dataclass(DataConfig, "data", section)
    assert {field.name for field in dataclasses.fields(DataConfig)} >= set(section)


def test_a_number_of_numpy_is_a_number():
    import numpy as np

    config = to_dataclass(WaveletConfig, "model.wavelet", {"num_scales": np.int64(8)})
    assert config.num_scales == 8
    assert MaeConfig.__name__ == "MaeConfig"
    with pytest.raises(ConfigError, match="num_scales is nan"):
        to_dataclass(WaveletConfig, "model.wavelet", {"num_scales": np.float32("nan")})
