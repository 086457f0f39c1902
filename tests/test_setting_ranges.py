"""One table says what each setting may be; nothing else is accepted."""

import math

import pytest

from physio_mae_jax.data.opening import DataConfig
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.typed_config import to_dataclass
from physio_mae_jax.setting_kinds import Choice, Flag, LocalPath, Number, Numbers
from physio_mae_jax.setting_ranges import SETTINGS, check_settings, path_settings
from tests.settings import config_of, with_value

VARIANTS = {
    "pretrain": ("", "variant=contrastive", "variant=v1_upstream,preset=upstream", "data=ptbxl"),
    "finetune": ("", "architecture=resnet1d_wang,preset=debug"),
    "evaluate": ("", "method=probe", "method=knn"),
    "features": ("format=parquet",),
    "edge": ("", "precision=int8"),
    "retrieval": (None,),
    "loso": ("",),
    "compare": ("data=bonn",),
}


def leaves(values, prefix=""):
    for name, value in values.items():
        if hasattr(value, "items"):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


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
        ("data.path", "~nouser/x", r"data\.path=~nouser/x is not a path: there is no such user"),
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


def test_paths_are_found_wherever_they_are():
    config = config_of("finetune", "")
    config.init_from, config.data.root = "~/run", "~/data"
    assert path_settings(config) == ["init_from", "data.root"]
    assert path_settings(config_of("compare", "data=bonn")) == ["data.root"]
    assert all(
        isinstance(SETTINGS[key], LocalPath) for key in ("init_from", "torch_weights", "data.path")
    )
