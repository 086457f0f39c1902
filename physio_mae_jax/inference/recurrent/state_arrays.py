"""The state of a recurrent stream as named arrays."""

from collections.abc import Mapping

import jax
import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.recurrent.block_encoder import RecurrentState


def arrays_of(state: RecurrentState) -> dict[str, np.ndarray]:
    """Return all arrays of a state by name."""
    leaves, _ = jax.tree.flatten_with_path(state)
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def state_of(arrays: Mapping[str, np.ndarray], like: RecurrentState) -> RecurrentState:
    """Return the state of ``arrays_of``.

    Args:
        arrays: Arrays by name.
        like: A state of the same stream, however old.

    Raises:
        DataError: An array is missing or of another kind.
    """

    def find(path: tuple[object, ...], leaf: np.ndarray) -> np.ndarray:
        found = arrays.get(_name(path))
        # The statistics are of more and more columns at first.
        if found is None or found.dtype != leaf.dtype or found.ndim != leaf.ndim:
            raise DataError(f"the state of the stream lacks {_name(path)}; open a new stream.")
        return found

    return jax.tree.map_with_path(find, like)


def _name(path: tuple[object, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")
