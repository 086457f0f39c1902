"""Validated constructor arguments of the original model, from a JSON file or a program."""

import math
import numbers
from collections.abc import Mapping
from typing import TypeGuard

import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.printable import show
from physio_mae_jax.types import JsonMapping, JsonObject

# Whole numbers -> the largest plausible value.
_SIZES = {
    "signal_len": 1 << 27,
    "cwt_scales": 4096,
    "embed_dim": 1 << 16,
    "depth": 1000,
    "num_heads": 4096,
    "patch_size_time": 1 << 27,
    "patch_size_freq": 4096,
    "decoder_embed_dim": 1 << 16,
    "decoder_depth": 1000,
    "decoder_num_heads": 4096,
}
# Numbers -> (minimum, maximum).
_NUMBERS = {
    "mlp_rank_ratio": (0.0, 1.0),
    "arcface_s": (1e-6, 1e6),
    "arcface_m": (0.0, math.pi),
    "temperature": (1e-6, 1e6),
    "sampling_rate_hz": (1e-3, 1e6),
}
_VERSIONS = ("v1", "v2", "v3")
# Limits on scalogram size, tokens and position tables: more would exhaust the memory.
_MAX_SCALOGRAM = 1 << 27
_MAX_TOKENS = 1 << 20
_MAX_POSITIONS = 1 << 28


def checked_arguments(config: Mapping[str, object], needed: tuple[str, ...]) -> JsonObject:
    """Return the arguments that shape a model.

    Args:
        config: Arguments by their original names; others are ignored.
        needed: Names of the required arguments.

    Raises:
        ConfigError: An argument is missing, mistyped or out of range, or the total size is.
    """
    missing = [name for name in needed if name not in config]
    if missing:
        raise ConfigError(
            f"the config of the state dict lacks {', '.join(missing)}; give the arguments that "
            "the original model was made with."
        )
    found: JsonObject = {}
    for name, most in _SIZES.items():
        if name in config:
            found[name] = _size(name, config[name], most)
    for name, (low, high) in _NUMBERS.items():
        if name in config:
            found[name] = _number(name, config[name], low, high)
    if "use_diff" in config:
        if not isinstance(config["use_diff"], numbers.Integral | np.bool_):
            raise _wrong("use_diff", config["use_diff"], "true or false")
        found["use_diff"] = bool(config["use_diff"])
    if config.get("version") is not None:
        if not isinstance(config["version"], str) or config["version"] not in _VERSIONS:
            raise _wrong("version", config["version"], "'v1' or 'v2'")
        found["version"] = config["version"]
    _check_together(found)
    return found


def _check_together(sizes: JsonMapping) -> None:
    scalogram = sizes["signal_len"] * sizes["cwt_scales"]
    tokens = scalogram // (sizes["patch_size_time"] * sizes["patch_size_freq"])
    width = max(sizes["embed_dim"], sizes.get("decoder_embed_dim", 0))
    beyond = scalogram > _MAX_SCALOGRAM or tokens > _MAX_TOKENS
    if beyond or tokens * width > _MAX_POSITIONS:
        raise ConfigError(
            f"the config of the state dict: signal_len={sizes['signal_len']} and "
            f"cwt_scales={sizes['cwt_scales']} make {scalogram:,} numbers a channel in {tokens:,} "
            f"tokens of {width}, more than can be computed; give the arguments that the original "
            "model was made with."
        )


def _size(name: str, value: object, most: int) -> int:
    if not _is_number(value) or not 1 <= value <= most or value != int(value):
        raise _wrong(name, value, f"a whole number from 1 to {most:,}")
    return int(value)


def _number(name: str, value: object, low: float, high: float) -> float:
    if not _is_number(value) or not low <= value <= high:
        raise _wrong(name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _wrong(name: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(
        f"the config of the state dict: {name} must be {wanted}; got {show(value)}. Give the "
        "arguments that the original model was built with."
    )
