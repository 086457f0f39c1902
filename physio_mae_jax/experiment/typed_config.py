"""Typed settings from the sections of a ConfigDict, each validated separately."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from physio_mae_jax.data.opening import DataConfig
from physio_mae_jax.data.synthetic import CohortConfig
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.signals.augment import AugmentConfig
from physio_mae_jax.signals.vocabulary import VOCABULARY
from physio_mae_jax.signals.wavelet_bank import WaveletConfig

_Config = TypeVar("_Config")
_HINTS = {
    "data": " Select your own prepared set with --config.data.sets=NAME; where there are "
    "labels, also with labels.task, data.channels and data.split_rule (README.md)."
}


def parse_argument(
    text: str, choices: Mapping[str, Sequence[str]], several: str = ""
) -> dict[str, str]:
    """Read what follows the colon of ``--config=file.py:name=value,name=value``.

    Args:
        text: Text after the colon; may be empty.
        choices: Allowed values of each name, the first being its default.
        several: Name that also accepts several of its values, joined by +.

    Returns:
        A value for each name.

    Raises:
        ConfigError: An unknown name or value.
    """
    values = {name: allowed[0] for name, allowed in choices.items()}
    for item in filter(None, (text or "").split(",")):
        name, _, value = item.partition("=")
        if name not in choices:
            raise ConfigError(
                f"config argument {item!r} is unknown; give name=value with a name of "
                f"{', '.join(choices)}."
            )
        given = value.split("+") if name == several else [value]
        if not set(given) <= set(choices[name]):
            joined = ", or several joined by +" if name == several else ""
            raise ConfigError(
                f"config argument {name}={value!r} is unknown; choose one of "
                f"{', '.join(choices[name])}{joined}.{_HINTS.get(name, '')}"
            )
        values[name] = value
    return values


def to_dataclass(kind: type[_Config], section: str, values: Mapping[str, Any]) -> _Config:
    """Make a settings dataclass of a config section; unknown keys raise."""
    fields = dataclasses.fields(cast(Any, kind))
    known = [field.name for field in fields]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{section}.{name} is not a setting.{hint}")
    for field in fields:
        has_default = (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
        if not has_default and field.name not in values:
            raise ConfigError(f"{section}.{field.name} is missing; give the setting a value.")
    return kind(**values)


def subsection(section: str, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a section within a section.

    Raises:
        ConfigError: The section is missing.
    """
    if name not in values or not hasattr(values[name], "items"):
        raise ConfigError(f"{section}.{name} is missing; it must be a section of settings.")
    found: Mapping[str, Any] = values[name]
    return found


def data_settings(section: Mapping[str, Any]) -> DataConfig:
    """Make the data settings of their config section."""
    check_settings(section, "data")
    values = dict(section)
    values["augment"] = to_dataclass(
        AugmentConfig, "data.augment", subsection("data", section, "augment")
    )
    values["cohort"] = to_dataclass(
        CohortConfig, "data.cohort", subsection("data", section, "cohort")
    )
    for name in ("band_hz", "speed_perturbation"):
        if name in section:
            values[name] = tuple(section[name])
    return to_dataclass(DataConfig, "data", values)


def objective_settings(section: Mapping[str, Any]) -> ObjectiveConfig:
    """Make the objective of its config section."""
    values = dict(section)
    values["mask"] = to_dataclass(
        MaskConfig, "objective.mask", subsection("objective", section, "mask")
    )
    return to_dataclass(ObjectiveConfig, "objective", values)


def model_settings(
    section: Mapping[str, Any],
    window_seconds: float,
    sampling_rate_hz: float,
    num_channel_names: int = len(VOCABULARY),
) -> MaeConfig:
    """Make the model of its config section and its input window."""
    values = {"num_channel_names": num_channel_names} | dict(section)
    wavelet = subsection("model", section, "wavelet")
    values["wavelet"] = to_dataclass(WaveletConfig, "model.wavelet", wavelet)
    values["num_samples"] = whole_samples(window_seconds, sampling_rate_hz)
    values["sampling_rate_hz"] = float(sampling_rate_hz)
    return to_dataclass(MaeConfig, "model", values)


def whole_samples(window_seconds: float, sampling_rate_hz: float) -> int:
    """Return the number of samples of a window.

    Raises:
        ConfigError: It is zero, or not a whole number.
    """
    check_settings({"window_seconds": window_seconds, "sampling_rate_hz": sampling_rate_hz})
    num_samples = window_seconds * sampling_rate_hz
    if abs(num_samples - round(num_samples)) > 1e-6:
        raise ConfigError(
            f"window_seconds={window_seconds} at sampling_rate_hz={sampling_rate_hz} is "
            f"{num_samples:g} samples, not a whole number; change one of them."
        )
    return round(num_samples)
