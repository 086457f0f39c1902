"""The operations of a graph computed by JAX, for converters that take its programs.

``models`` uses Fourier transforms and loops, which LiteRT has no operations for; the graph has
neither.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.inference.edge.graph import Graph
from physio_mae_jax.types import Options

_Array = jax.Array | np.ndarray


class JaxGraph(Graph):
    """Computes every operation when it is added; constants stay NumPy arrays."""

    def __init__(self, inputs: Mapping[str, jax.Array]) -> None:
        """Begin with the inputs of the graph."""
        self._values: dict[str, _Array] = dict(inputs)

    def constant(self, values: object, dtype: type = np.float32) -> str:
        """Add an array."""
        kind = np.int32 if dtype is np.int64 else dtype  # JAX has no 64 bits by default
        return self._named(np.asarray(values, kind))

    def split(
        self, kind: str, num_results: int, *inputs: str, name: str = "", **attributes: Options
    ) -> list[str]:
        """Compute an operation of several results, see ``Graph.op``."""
        given = [self._values[one] for one in inputs]
        if kind == "Split":
            results = jnp.split(given[0], num_results, axis=attributes["axis"])
        else:
            results = [_OPERATIONS[kind](*given, **attributes)]
        return [self._named(one) for one in results]

    def value(self, name: str) -> jax.Array:
        """Return a value."""
        return jnp.asarray(self._values[name])

    def _named(self, value: _Array) -> str:
        name = f"value_{len(self._values)}"
        self._values[name] = value
        return name


def _layer_norm(
    value: jax.Array, scale: _Array, bias: _Array, *, axis: int, epsilon: float
) -> jax.Array:
    centered = value - value.mean(axis=axis, keepdims=True)
    variance = jnp.square(centered).mean(axis=axis, keepdims=True)
    return centered * jax.lax.rsqrt(variance + epsilon) * scale + bias


def _convolved(values: jax.Array, kernels: np.ndarray) -> jax.Array:
    """Correlate [R, 1, L] with kernels [S, 1, P]."""
    layout = ("NCH", "OIH", "NCH")
    return jax.lax.conv_general_dilated(
        values, jnp.asarray(kernels), (1,), "VALID", dimension_numbers=layout
    )


def _padded(values: jax.Array, ends: np.ndarray, *, mode: str) -> jax.Array:
    widths = np.asarray(ends).reshape(2, -1).T.tolist()
    return jnp.pad(values, widths, mode=mode)


def _sliced(values: jax.Array, first: np.ndarray, last: np.ndarray, axis: np.ndarray) -> jax.Array:
    return jax.lax.slice_in_dim(values, int(first[0]), int(last[0]), axis=int(axis[0]))


def _axes(axes: np.ndarray) -> tuple[int, ...]:
    return tuple(np.asarray(axes).tolist())


_OPERATIONS: dict[str, Callable[..., jax.Array]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": lambda a, b: a / b,
    "MatMul": lambda a, b: a @ b,
    "Max": jnp.maximum,
    "Less": lambda a, b: a < b,
    "Greater": lambda a, b: a > b,
    "Sqrt": jnp.sqrt,
    "Clip": jnp.clip,
    "Where": jnp.where,
    "Cast": lambda value, to: value.astype(jnp.float32),  # the only type that is cast to
    "Gather": lambda table, rows: jnp.take(table, rows, axis=0, mode="clip"),
    "Reshape": lambda value, shape: jnp.reshape(value, _axes(shape)),
    "Transpose": lambda value, perm: jnp.transpose(value, perm),
    "Concat": lambda *values, axis: jnp.concatenate(values, axis=axis),
    "ReduceMean": lambda value, axes: value.mean(axis=_axes(axes), keepdims=True),
    "ReduceSum": lambda value, axes: value.sum(axis=_axes(axes), keepdims=True),
    "Softmax": lambda value, axis: jax.nn.softmax(value, axis=axis),
    "Gelu": lambda value: jax.nn.gelu(value, approximate=False),
    "LayerNormalization": _layer_norm,
    "Conv": _convolved,
    "Pad": _padded,
    "Slice": _sliced,
}
