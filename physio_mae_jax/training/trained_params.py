"""Parameters of a trained encoder in the place of new ones."""

from typing import NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from physio_mae_jax.training.state import Params

_Path = tuple[str, ...]


class TrainedParams(NamedTuple):
    """Parameters of a trained encoder, to begin with.

    Attributes:
        params: of a trained encoder.
        channels_alone: it saw one channel at a time, so that whatever mixes channels is untrained,
            or not there.
    """

    params: Params
    channels_alone: bool = False

    def over(self, new: Params) -> Params:
        """Return what takes the place of ``new`` parameters, some of which may stay.

        An encoder of channels alone begins as one: what its attention across channels adds is 0,
        and grows from there. New and random, that would drown what was learned.
        """
        given = flatten_dict(self.params)
        if self.channels_alone:
            for path, leaf in flatten_dict(new).items():
                if _adds_other_channels(path):
                    given[path] = np.zeros(leaf.shape, leaf.dtype)
        return unflatten_dict(given)


def placed(given: Params, new: Params) -> Params:
    """Put the given parameters in the place of new ones."""
    return unflatten_dict(flatten_dict(new) | flatten_dict(given))


def _adds_other_channels(path: _Path) -> bool:
    """Say whether a parameter is of the last product of attention across channels."""
    return "channel_attention" in path and "output" in path and "reduce" not in path
