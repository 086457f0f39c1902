"""Initialisation of a model with the parameters of a trained one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.training.state import Params

_Path = tuple[str, ...]
_SHOWN = 4


class MergedParams(NamedTuple):
    """Trained parameters merged into a new model.

    Attributes:
        params: Arrays of the new model, all of them.
        unused: Paths of trained arrays that the new model does not have.
        added: Paths of arrays of the new model that were not trained.
        silenced: Paths of arrays set to 0, so that attention across channels adds nothing at first.
    """

    params: Params
    unused: tuple[_Path, ...]
    added: tuple[_Path, ...]
    silenced: tuple[_Path, ...]

    def notes(self) -> list[str]:
        """Describe unused and new parameters as text, by groups of arrays."""
        texts = []
        if self.unused:
            texts.append(
                f"{len(self.unused)} trained arrays are not used ({_groups(self.unused)}): a model "
                "of one channel has no such layers"
            )
        if self.added:
            texts.append(f"{len(self.added)} arrays are new ({_groups(self.added)})")
        if self.silenced:
            texts.append(
                f"{len(self.silenced)} arrays begin as 0 ({_groups(self.silenced)}): the encoder "
                "saw one channel at a time, and attention across channels begins as adding nothing"
            )
        return texts


class InitTransform(NamedTuple):
    """Parameters of a trained encoder, for initialisation.

    Attributes:
        params: Parameters of the trained encoder.
        channel_independent: True if the encoder was trained on single channels, so that layers that
            mix channels are untrained or absent.
    """

    params: Params
    channel_independent: bool = False

    def merged(self, new: Params) -> MergedParams:
        """Replace ``new`` parameters by trained ones; either may have arrays the other lacks.

        A single-channel model has no layers that mix channels. A single-channel encoder in a new
        model starts channel-independent: its attention across channels outputs 0 and grows in
        training. A random initialisation would drown the trained features.

        Args:
            new: Nested dict of arrays, or of their shapes and types.

        Raises:
            ConfigError: An array has another shape than the new one.
        """
        given, wanted = flatten_dict(self.params), flatten_dict(new)
        for path in given.keys() & wanted.keys():
            _check_shape(path, given[path], wanted[path])
        merged = {path: given.get(path, leaf) for path, leaf in wanted.items()}
        silenced = sorted(filter(_adds_other_channels, wanted)) if self.channel_independent else []
        for path in silenced:
            merged[path] = np.zeros(wanted[path].shape, wanted[path].dtype)
        return MergedParams(
            params=unflatten_dict(merged),
            unused=tuple(sorted(given.keys() - wanted.keys())),
            added=tuple(sorted(wanted.keys() - given.keys())),
            silenced=tuple(silenced),
        )


def _check_shape(path: _Path, given: Any, wanted: Any) -> None:
    if tuple(given.shape) != tuple(wanted.shape):
        raise ConfigError(
            f"the array {'/'.join(path)} of the trained encoder has shape {tuple(given.shape)}, "
            f"{tuple(wanted.shape)} is expected; begin with an encoder of the same architecture."
        )


def _groups(paths: Sequence[_Path]) -> str:
    """List the layers that arrays belong to, such as 'stack/blocks/channel_attention'."""
    groups = dict.fromkeys("/".join(_group(path)) for path in paths)
    shown = list(groups)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")


def _group(path: _Path) -> _Path:
    return path[:3] if path[:2] == ("stack", "blocks") else path[:-1] or path


def _adds_other_channels(path: _Path) -> bool:
    """Return whether a parameter is of the output projection of attention across channels."""
    return "channel_attention" in path and "output" in path and "down" not in path
