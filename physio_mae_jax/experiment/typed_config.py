"""Typed settings: a config as a tree of dataclasses, built once when a command starts."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.types import JsonObject, Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Config = TypeVar("_Config", bound="DataclassInstance")
_HINTS = {
    "data": " Select your own prepared set with --config.data.sets=NAME; if it has "
    "labels, also set labels.task, data.channels and data.split_rule (README.md)."
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """Settings of a command.

    Attributes:
        command: Name of the command, a module of ``physio_mae_jax.commands``.
        settings: All settings as given, for the work folder.
    """

    command: str
    settings: Settings = dataclasses.field(default_factory=dict, compare=False, repr=False)


def read_config(kind: type[_Config], config: Settings) -> _Config:
    """Check the range of every setting of a config and build its tree of dataclasses.

    Args:
        kind: ``ExperimentConfig`` of the command.
        config: ConfigDict of ``configs/``, or its content.

    Raises:
        ConfigError: A setting is unknown (with the nearest name), missing or out of range.
    """
    check_settings(config)
    settings = as_settings(config)
    return to_dataclass(kind, "", {**settings, "settings": settings})


def as_settings(config: Settings) -> JsonObject:
    """Return the content of a ConfigDict, or of another mapping, as a dict."""
    return config.to_dict() if hasattr(config, "to_dict") else dict(config)


def to_dataclass(kind: type[_Config], section: str, values: Settings) -> _Config:
    """Build the settings dataclass of a section, and those of the sections within it.

    Args:
        kind: Dataclass; a field of a dataclass type, or of a type with ``from_section``, is a
            section of its own.
        section: Name of the section, for errors; '' for a whole config.
        values: Settings by name.

    Raises:
        ConfigError: A setting is unknown (with the nearest name) or missing.
    """
    fields = dataclasses.fields(kind)
    check_names(section, values, [field.name for field in fields])
    for field in fields:
        has_default = (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
        if not has_default and field.name not in values:
            raise ConfigError(f"{_path(section, field.name)} is missing; give it a value.")
    hints = typing.get_type_hints(kind)
    return kind(
        **{
            name: _convert(hints[name], _path(section, name), value)
            for name, value in values.items()
        }
    )


def check_names(section: str, values: Settings, known: Sequence[str]) -> None:
    """Raise a ConfigError on a setting that a section does not have."""
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{_path(section, name)} is not a setting.{hint}")


def as_section(section: str, value: object) -> Settings:
    """Return a value that must be a section of settings; raise a ConfigError otherwise."""
    if not hasattr(value, "items"):
        raise ConfigError(f"{section} is {str(value)[:80]!r}; it must be a section of settings.")
    return cast(Settings, value)


def _convert(kind: object, section: str, value: object) -> object:
    """Convert a value to the type of its field."""
    if isinstance(kind, types.UnionType):
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
        if value is None:
            return None
    if isinstance(value, kind) if isinstance(kind, type) else False:
        return value
    if hasattr(kind, "from_section"):
        return kind.from_section(section, as_section(section, value))
    if dataclasses.is_dataclass(kind):
        return to_dataclass(cast(type, kind), section, as_section(section, value))
    if typing.get_origin(kind) is tuple:
        return tuple(cast(Iterable[object], value))
    return value


def _path(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name


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
        chosen = value.split("+") if name == several else [value]
        if not set(chosen) <= set(choices[name]):
            alternatives = ", or several joined by +" if name == several else ""
            raise ConfigError(
                f"config argument {name}={value!r} is unknown; choose one of "
                f"{', '.join(choices[name])}{alternatives}.{_HINTS.get(name, '')}"
            )
        values[name] = value
    return values
