"""Models of strangers go through the same table of settings."""

import dataclasses
import math

import pytest

from physio_mae_jax.errors import UserError
from physio_mae_jax.experiment.model_section import ModelSection
from physio_mae_jax.training.model_spec import parse_model_config
from tests.settings import config_of


class TestSharedModels:
    """A model's config.json is of somebody else, and goes through the same table."""

    @pytest.fixture
    def content(self):
        config = config_of("pretrain", "preset=debug")
        model = ModelSection.from_section("model", config.model).for_window(
            config.window_seconds, config.sampling_rate_hz
        )
        return dataclasses.asdict(model)

    def test_as_it_was(self, content):
        assert dataclasses.asdict(parse_model_config(content, "it")) == content

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("width", v) for v in ("768", 1e30, None, math.nan, 0, 10**9, True, [])),
            *(("depth", v) for v in (10**6, -1, 2.5)),
            *(("num_samples", v) for v in (2**63, 0, -600, 1e3, "600")),
            *(("sampling_rate_hz", v) for v in (math.nan, 0, 1e302, "100")),
            *(("remat", v) for v in (None, 3, "all")),
            ("channel_attention", "yes"),
            ("attention_block_seconds", math.inf),
        ],
    )
    def test_of_the_model(self, content, name, value):
        with pytest.raises(UserError, match=rf"\b{name}\b"):
            parse_model_config(content | {name: value}, "config.json")

    @pytest.mark.parametrize("value", [10**6, 10**8, "64", None, math.nan, 1])
    def test_of_the_wavelets(self, content, value):
        wavelet = content["wavelet"] | {"num_scales": value}
        with pytest.raises(UserError, match=r"wavelet\.num_scales\b"):
            parse_model_config(content | {"wavelet": wavelet}, "config.json")
