"""One table says what each setting may be; nothing else is accepted."""

import copy
import dataclasses
import math
import runpy

import pytest
from ml_collections import ConfigDict

from physio_mae_jax.data.opening import DataConfig
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.experiment.model_section import ModelSection
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec
from physio_mae_jax.experiment.typed_config import to_dataclass
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.setting_kinds import Choice, Flag, LocalPath, Number, Numbers
from physio_mae_jax.setting_ranges import SETTINGS, check_settings, path_settings
from physio_mae_jax.signals.wavelet_bank import WaveletConfig, wavelet_bank
from physio_mae_jax.training.model_spec import parse_model_config
from tests.paths import REPOSITORY
from tests.runs import typed

CONFIGS = REPOSITORY / "configs"
VARIANTS = {
    "pretrain": ("", "variant=contrastive", "variant=v1_upstream,preset=upstream", "data=ptbxl"),
    "finetune": ("", "architecture=resnet1d_wang,preset=debug"),
    "evaluate": ("", "method=probe", "method=knn"),
    "features": ("format=parquet",),
    "retrieval": (None,),
    "loso": ("",),
    "compare": ("data=bonn",),
}


def config_of(name: str, argument: str | None) -> ConfigDict:
    get = runpy.run_path(str(CONFIGS / f"{name}.py"))["get_config"]
    return get() if argument is None else get(argument)


def leaves(values, prefix=""):
    for name, value in values.items():
        if hasattr(value, "items"):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def with_value(config: ConfigDict, key: str, value) -> ConfigDict:
    changed = copy.deepcopy(config)
    *sections, last = key.split(".")
    holder = changed
    for name in sections:
        holder = holder[name]
    with holder.unlocked():
        del holder[last]  # and with it its type
        holder[last] = value
    return changed


def kind_of(key: str):
    """Return the kind of a setting, also of a row of a comparison."""
    return SETTINGS.get(key) or SETTINGS.get(key.partition(".")[2])


ALL = [(name, argument) for name, arguments in VARIANTS.items() for argument in arguments]


@pytest.mark.parametrize(("name", "argument"), ALL)
def test_the_table_knows_every_setting_and_takes_every_default(name, argument):
    config = config_of(name, argument)
    check_settings(config)
    for key, value in leaves(config):
        if key.startswith("data.raw_manifests."):
            continue
        kind = kind_of(key)
        assert kind is not None, key
        expected = {bool: Flag, int: Number, float: Number, tuple: Numbers}.get(type(value))
        assert expected is None or isinstance(kind, expected), key
        assert not isinstance(kind, Number) or kind.whole == isinstance(value, int), key


# 101 below the least that any setting may be.
WRONG = (
    *(math.nan, math.inf, -math.inf, -101, 1e30, 10**30, 10**5000),
    *("many", None, True, (), {}, [1], "1"),
)


@pytest.mark.parametrize(("name", "argument"), ALL)
def test_no_number_can_be_what_it_cannot_be(name, argument):
    config = config_of(name, argument)
    for key, value in leaves(config):
        if type(value) not in (int, float, tuple):
            continue
        for wrong in WRONG:
            if type(value) is tuple and wrong == [1]:
                continue  # a weight for each plane, of which there may be one
            with pytest.raises(ConfigError) as caught:
                check_settings(with_value(config, key, wrong))
            message = str(caught.value)
            assert message.startswith(f"{key} is "), message
            assert "such as" in message, message
            assert len(message) < 400
            assert "\n" not in message


@pytest.mark.parametrize(("name", "argument"), ALL)
def test_no_text_choice_or_flag_can_be_something_else(name, argument):
    config = config_of(name, argument)
    for key, value in leaves(config):
        if type(value) not in (str, bool):
            continue
        for wrong in (3, None, math.nan, (), "a\0b"):
            with pytest.raises(ConfigError, match="^" + key.replace(".", r"\.")):
                check_settings(with_value(config, key, wrong))


def test_every_choice_of_the_table_is_one_that_its_owner_takes():
    config = config_of("pretrain", "preset=debug")
    for key, kind in SETTINGS.items():
        if isinstance(kind, Choice) and key.startswith("data."):
            for choice in kind.choices:
                to_dataclass(
                    DataConfig, "data", with_value(config.data, key.removeprefix("data."), choice)
                )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", -1, r"seed is -1; it must be an integer from 0 to 4,294,967,295, such as 0"),
        ("seed", 10**23, r"seed is about 10\^2\d"),
        ("batch_size", 10**12, r"batch_size is 1,000,000,000,000; .* to 262,144"),
        ("sampling_rate_hz", math.nan, r"sampling_rate_hz is nan; it must be .* from 1 to 50,000"),
        ("sampling_rate_hz", 1e9, r"sampling_rate_hz is 1e\+09"),
        ("window_seconds", math.nan, "window_seconds is nan; it must be a number above 0"),
        ("data.band_hz", (math.nan, math.nan), r"data\.band_hz is \(nan, nan\); it must be \(low"),
        ("data.band_hz", "x", r"data\.band_hz is 'x'"),
        ("data.band_hz", (40.0, 0.5), r"0 < low < high"),
        ("data.speed_perturbation", (math.nan, math.nan), r"data\.speed_perturbation is"),
        ("data.num_threads", -5, r"data\.num_threads is -5; it must be an integer from 0"),
        ("data.max_validation_windows", -1, r"data\.max_validation_windows is -1"),
        ("loop.watchdog_seconds", math.nan, r"loop\.watchdog_seconds is nan"),
        ("model.wavelet.num_scales", 10**8, r"num_scales is 100,000,000; .* to 1,024"),
        ("model", 3, r"model is '3'; it must be a section of settings"),
        ("data.augment", None, r"data\.augment is 'None'; it must be a section"),
        ("data.root", "gs://bucket/sets", r"data\.root=gs://bucket/sets is an address"),
        ("data.path", "~nouser/x", r"data\.path=~nouser/x is no path: there is no such user"),
        ("data.manifest", "s3://b/m.json", r"data\.manifest=s3://b/m\.json is an address"),
    ],
)
def test_what_was_once_let_through(key, value, message):
    config = config_of("pretrain", "preset=debug")
    with pytest.raises(ConfigError, match=message):
        check_settings(with_value(config, key, value))


def test_a_row_of_a_comparison_is_checked_by_its_own_name():
    config = config_of("compare", "data=bonn")
    changed = with_value(config, "scratch.optimizer.peak_learning_rate", math.inf)
    with pytest.raises(ConfigError, match=r"scratch\.optimizer\.peak_learning_rate is inf"):
        check_settings(changed)
    with pytest.raises(ConfigError, match=r"pretrained\.batch_size is 0"):
        check_settings(with_value(config, "pretrained.batch_size", 0))


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


def test_a_bank_that_takes_all_memory_is_rejected():
    huge = WaveletConfig(num_scales=1024, lowest_frequency_hz=0.001, highest_frequency_hz=40.0)
    with pytest.raises(ConfigError, match=r"num_scales=1024 wavelets of up to .* lower it"):
        wavelet_bank(huge, 100.0, 10_000_000)


def test_paths_are_found_wherever_they_are():
    config = config_of("finetune", "")
    config.init_from, config.data.root = "~/run", "~/data"
    assert path_settings(config) == ["init_from", "data.root"]
    assert path_settings(config_of("compare", "data=bonn")) == ["data.root"]
    assert all(
        isinstance(SETTINGS[key], LocalPath) for key in ("init_from", "torch_weights", "data.path")
    )


def test_a_number_of_numpy_is_a_number():
    import numpy as np

    config = to_dataclass(WaveletConfig, "model.wavelet", {"num_scales": np.int64(8)})
    assert config.num_scales == 8
    assert MaeConfig.__name__ == "MaeConfig"
    with pytest.raises(ConfigError, match="num_scales is nan"):
        to_dataclass(WaveletConfig, "model.wavelet", {"num_scales": np.float32("nan")})
