"""Initialization of a model with the parameters of a trained one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.layer_plan import ALIKE, GROUPED, GROUPED_ATTENTION
from physio_mae_jax.types import Params

_Path = tuple[str, ...]
_SHOWN = 4


class MergedParams(NamedTuple):
    """Trained parameters merged into a new model.

    Attributes:
        params: Arrays of the new model, all of them.
        unused: Paths of trained arrays that the new model does not have.
        added: Paths of arrays of the new model that were not trained.
        silenced: Paths of arrays initialized to 0, so that attention across channels adds nothing
            at first.
    """

    params: Params
    unused: tuple[_Path, ...]
    added: tuple[_Path, ...]
    zeroed: tuple[_Path, ...]

    def notes(self) -> list[str]:
        """Describe unused and new parameters as text, by groups of arrays."""
        texts = []
        if self.unused:
            texts.append(
                f"{len(self.unused)} trained arrays are not used ({_list_groups(self.unused)}): a "
                "model of one channel has no such layers"
            )
        if self.added:
            texts.append(f"{len(self.added)} arrays are new ({_list_groups(self.added)})")
        if self.zeroed:
            texts.append(
                f"{len(self.zeroed)} arrays are initialized to 0 ({_list_groups(self.zeroed)}): "
                "the encoder was trained on single channels, so attention across channels "
                "initially adds nothing"
            )
        return texts


class InitTransform(NamedTuple):
    """Parameters of a trained encoder, for initialization.

    Attributes:
        params: Parameters of the trained encoder.
        channel_independent: True if the encoder was trained on single channels, so that layers that
            mix channels are untrained or absent.
    """

    params: Params
    channel_independent: bool = False

    def merge_into(self, new: Params) -> MergedParams:
        """Replace ``new`` parameters by trained ones; either may have arrays that the other does
        not have.

        A single-channel model has no layers that mix channels. A single-channel encoder in a new
        model starts channel-independent: its attention across channels initially outputs 0.
        A random initialization would overwhelm the trained features.

        Args:
            new: Nested dict of arrays, or of their shapes and types.

        Raises:
            ConfigError: an array has a different shape than the new one.
        """
        trained, initial = flatten_dict(self.params), flatten_dict(new)
        for path in trained.keys() & initial.keys():
            _check_shape(path, trained[path], initial[path])
        merged = {path: trained.get(path, leaf) for path, leaf in initial.items()}
        zeroed = (
            sorted(filter(_is_channel_attention_output, initial))
            if self.channel_independent
            else []
        )
        for path in zeroed:
            merged[path] = np.zeros(initial[path].shape, initial[path].dtype)
        return MergedParams(
            params=unflatten_dict(merged),
            unused=tuple(sorted(trained.keys() - initial.keys())),
            added=tuple(sorted(initial.keys() - trained.keys())),
            zeroed=tuple(zeroed),
        )


def _check_shape(path: _Path, trained: np.ndarray, initial: np.ndarray) -> None:
    if tuple(trained.shape) != tuple(initial.shape):
        raise ConfigError(
            f"the array {'/'.join(path)} of the trained encoder has shape {tuple(trained.shape)}, "
            f"{tuple(initial.shape)} is expected; start from an encoder of the same architecture."
        )


def _list_groups(paths: Sequence[_Path]) -> str:
    """List the layers that arrays belong to, such as 'stack/blocks/channel_attention'."""
    groups = dict.fromkeys("/".join(_group(path)) for path in paths)
    shown = list(groups)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")


def _group(path: _Path) -> _Path:
    for kind in (ALIKE, GROUPED, GROUPED_ATTENTION):
        if path[: 1 + len(kind)] == ("stack", *kind):
            return path[: 2 + len(kind)]
    return path[:-1] or path


def _is_channel_attention_output(path: _Path) -> bool:
    """Return whether a parameter belongs to the output projection of attention across channels."""
    return "channel_attention" in path and "output" in path and "down" not in path
