"""Types that recur in the package, each with one meaning.

A value that is validated where it enters is an ``object``. This module stands below all
packages: it loads no library but NumPy.
"""

from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import jax

# An object of a JSON document, and the same where it is only read.
JsonObject = dict[str, Any]
JsonMapping = Mapping[str, Any]
# Settings by name, nested by section: a ConfigDict of ``configs/`` or its content.
Settings = Mapping[str, Any]
# Parameters of a model, or another collection of its variables: nested dicts of arrays.
Params = dict[str, Any]
# Any nesting of containers that JAX knows, with any leaves.
PyTree = Any
# An object of a library without types: a module of an optional extra, or what it makes.
Untyped = Any
# Keyword arguments that are handed on to a function, which types and checks them.
Options = Any
# Arrays by name, on the host or on devices, such as the entries of a batch.
Arrays: TypeAlias = "Mapping[str, np.ndarray | jax.Array]"
# Embeddings of recordings: one array of all, or an array of each.
Embeddings = np.ndarray | list[np.ndarray]
# What ``signal.signal`` returns and takes.
SignalHandler = Callable[[int, FrameType | None], object] | int | None


class FlaxModel(Protocol):
    """The methods of ``nn.Module`` that run a model outside of other modules."""

    def apply(self, variables: Params, *args: Any, **kwargs: Any) -> Any:
        """Run a method of the model."""
        ...

    def init(self, rngs: PyTree, *args: Any, **kwargs: Any) -> Any:
        """Initialize the variables."""
        ...
