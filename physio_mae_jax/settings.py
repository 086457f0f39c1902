"""From the sections of a ConfigDict to typed settings, each checked on its own."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.signals.wavelet import WaveletConfig

SOURCES = ("synthetic", "folder")

_Settings = TypeVar("_Settings")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where recordings come from and which are used.

    Attributes:
        source: 'synthetic' or 'folder'.
        path: the folder; for 'folder' only.
        manifest: its manifest, '' for <path>/manifest.json or files that describe themselves.
        channels: names separated by commas, in the model's order; '' for all of them.
        missing_channels: a recording without a channel is an 'error', or gets a 'mask'.
        on_invalid: an unusable recording is an 'error', or is left out ('skip') and reported.
        held_out_fraction: share of the subjects held out for validation.
        split_seed: of that choice.
        max_held_out_windows: windows evaluated on, at most.
        num_threads: that read ahead.
        tempo_range: see ``data.pipeline.LoaderConfig``.
        cohort: settings of the synthetic cohort.
    """

    source: str
    path: str
    manifest: str
    channels: str
    missing_channels: str
    on_invalid: str
    held_out_fraction: float
    split_seed: int
    max_held_out_windows: int
    num_threads: int
    tempo_range: tuple[float, float]
    cohort: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, choices in (
            ("source", SOURCES),
            ("missing_channels", ("error", "mask")),
            ("on_invalid", ("error", "skip")),
        ):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"data.{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}."
                )
        if not 0 < self.held_out_fraction < 1:
            raise ConfigError(
                f"data.held_out_fraction is {self.held_out_fraction}; it must lie between 0 and 1."
            )
        if self.source == "folder" and not self.path:
            raise ConfigError("data.path is empty; name a folder with --config.data.path=DIR.")


def parse_argument(text: str, choices: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Read what follows the colon of ``--config=file.py:name=value,name=value``.

    Args:
        text: that part, may be empty.
        choices: the allowed values of each name, the first being its default.

    Returns:
        A value for each name.

    Raises:
        ConfigError: an unknown name or value.
    """
    values = {name: allowed[0] for name, allowed in choices.items()}
    for item in filter(None, (text or "").split(",")):
        name, _, value = item.partition("=")
        if name not in choices:
            raise ConfigError(
                f"config argument {item!r} is not known; write name=value with a name of "
                f"{', '.join(choices)}."
            )
        if value not in choices[name]:
            raise ConfigError(
                f"config argument {name}={value!r} is not known; choose one of "
                f"{', '.join(choices[name])}."
            )
        values[name] = value
    return values


def typed(kind: type[_Settings], section: str, values: Mapping[str, Any]) -> _Settings:
    """Make a settings dataclass of a config section, naming keys that do not belong."""
    known = [field.name for field in dataclasses.fields(cast(Any, kind))]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{section}.{name} is not a setting.{hint}")
    return kind(**values)


def objective_settings(section: Mapping[str, Any]) -> ObjectiveConfig:
    """Make the objective of its config section."""
    values = dict(section)
    values["mask"] = typed(MaskConfig, "objective.mask", section["mask"])
    return typed(ObjectiveConfig, "objective", values)


def model_settings(
    section: Mapping[str, Any], window_seconds: float, sampling_rate_hz: float
) -> MaeConfig:
    """Make the model of its config section and the window it sees."""
    num_samples = window_seconds * sampling_rate_hz
    if window_seconds <= 0 or sampling_rate_hz <= 0:
        raise ConfigError(
            f"window_seconds={window_seconds} and sampling_rate_hz={sampling_rate_hz} must both "
            "be above 0."
        )
    if abs(num_samples - round(num_samples)) > 1e-6:
        raise ConfigError(
            f"window_seconds={window_seconds} at sampling_rate_hz={sampling_rate_hz} is "
            f"{num_samples:g} samples, not a whole number; change one of them."
        )
    values = dict(section)
    values["wavelet"] = typed(WaveletConfig, "model.wavelet", section["wavelet"])
    values |= {"sampling_rate_hz": float(sampling_rate_hz), "num_samples": round(num_samples)}
    return typed(MaeConfig, "model", values)
