"""Arrays of a PyTorch state dict by name, each taken once and converted to our layouts."""

import math
from collections.abc import Mapping

import numpy as np

from physio_mae_jax.data.regular_file import shorten_path
from physio_mae_jax.errors import DataError
from physio_mae_jax.models.layers import low_rank
from physio_mae_jax.types import Params

_MLP_RATIO = 4
_SHOWN = 8
_FREE_ZEROS = 1 << 24


class Weights:
    """Arrays by name, each taken once; all mismatches are collected and reported together."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = dict(arrays)
        self._missing: list[str] = []
        self._misshapen: list[str] = []
        self._not_finite: list[str] = []
        # Zeros stand in for missing arrays, so that all are reported; their total size is limited.
        self._zeros_left = _FREE_ZEROS + 2 * sum(array.size for array in self._arrays.values())

    def take(self, name: str, *shape: int) -> np.ndarray:
        """Return the array ``name``; zeros of ``shape`` if it is missing or misshapen."""
        array = self._arrays.pop(name, None)
        if array is None:
            self._missing.append(name)
        elif array.shape != shape:
            self._misshapen.append(f"{name} is {array.shape}, not {shape}")
        elif not _is_finite(array):
            self._not_finite.append(name)
        else:
            return array
        self._zeros_left -= math.prod(shape)
        if self._zeros_left < 0:
            self.reject_problems()
        return np.zeros(shape, np.float32)

    def size(self, name: str, axis: int, default: int) -> int:
        """Return the length of an array along an axis; ``default`` if there is none."""
        array = self._arrays.get(name)
        return default if array is None or array.ndim <= axis else array.shape[axis]

    def linear(self, name: str, size_in: int, size_out: int, bias: bool = True) -> Params:
        """Take a linear layer, [out, in] in PyTorch and [in, out] here."""
        layer = {"kernel": self.take(f"{name}.weight", size_out, size_in).T}
        return layer | ({"bias": self.take(f"{name}.bias", size_out)} if bias else {})

    def patch_projection(self, name: str, size_out: int, *kernel: int) -> Params:
        """Take a convolution whose kernel [in, …] equals its stride as the linear layer it is."""
        weight = self.take(f"{name}.weight", size_out, *kernel).reshape(size_out, -1)
        return {"kernel": weight.T, "bias": self.take(f"{name}.bias", size_out)}

    def norm(self, name: str, width: int) -> Params:
        """Take a LayerNorm."""
        return {
            "scale": self.take(f"{name}.weight", width),
            "bias": self.take(f"{name}.bias", width),
        }

    def attention(self, name: str, width: int) -> Params:
        """Take an attention layer with a fused query, key and value."""
        return {
            "qkv": self.linear(f"{name}.qkv", width, 3 * width, bias=False),
            "output": self.linear(f"{name}.proj", width, width),
        }

    def low_rank(self, name: str, size_in: int, size_out: int, rank_ratio: float) -> Params:
        """Take a low-rank linear layer with factors V and U (models.md#low-rank-layers)."""
        rank = low_rank(size_in, size_out, rank_ratio)
        return {
            "down": self.linear(f"{name}.v", size_in, rank, bias=False),
            "up": self.linear(f"{name}.u", rank, size_out),
        }

    def mlp(self, name: str, width: int, rank_ratio: float = 0.0) -> Params:
        """Take the two linear layers of an MLP, of low rank unless ``rank_ratio`` is 0."""
        inner = _MLP_RATIO * width
        if rank_ratio:
            return {
                "expand": self.low_rank(f"{name}.0", width, inner, rank_ratio),
                "contract": self.low_rank(f"{name}.3", inner, width, rank_ratio),
            }
        return {
            "expand": self.linear(f"{name}.0", width, inner),
            "contract": self.linear(f"{name}.3", inner, width),
        }

    def query_attention(self, name: str, width: int) -> Params:
        """Take an ``nn.MultiheadAttention``; its projections are split here."""
        kernels = np.split(self.take(f"{name}.in_proj_weight", 3 * width, width), 3)
        biases = np.split(self.take(f"{name}.in_proj_bias", 3 * width), 3)
        parts: Params = {
            part: {"kernel": kernel.T, "bias": bias}
            for part, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True)
        }
        return parts | {"out": self.linear(f"{name}.out_proj", width, width)}

    def names(self) -> set[str]:
        """Return the names not taken yet."""
        return set(self._arrays)

    def drop(self, name: str) -> None:
        """Discard an array that is not needed."""
        self._arrays.pop(name, None)

    def reject_problems(self) -> None:
        """Raise a DataError that lists everything missing, misshapen or never taken."""
        problems = {
            "missing": self._missing,
            "of another shape than the config requires": self._misshapen,
            "with values that are not finite": self._not_finite,
            "that this model does not have": sorted(self._arrays),
        }
        lines = [f"  {len(some)} {what}: {_first(some)}" for what, some in problems.items() if some]
        if lines:
            raise DataError(
                "the state dict does not fit the CWT-MAE of this config; weights\n"
                + "\n".join(lines)
                + "\nCheck the config against the one the weights were trained with."
            )


def _first(names: list[str]) -> str:
    rest = f", … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(shorten_path(name) for name in names[:_SHOWN]) + rest


def _is_finite(array: np.ndarray) -> bool:
    """Return whether all numbers are finite as float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.astype(np.float32)).all())
