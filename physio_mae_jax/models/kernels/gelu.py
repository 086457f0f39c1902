"""Bias and GELU in one pass over memory each way.

The widest array of a block is that between the layers of its MLP. Compiled from the formula, the
way back writes intermediate results of that size to memory, and adds up the bias's gradient slowly.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from physio_mae_jax.models.kernels.launch import Ref, launch
from physio_mae_jax.models.kernels.tile import Tile, load_parameter
from physio_mae_jax.signals.own_examples import each_device_its_own

_ROWS = 8  # tokens that a program holds at once
_COLUMNS = 512  # and features of each
_ROUNDS = 16  # how often it takes so many on the way back, adding up its share of the sums


class _Sizes(NamedTuple):
    examples: int
    tokens: int
    features: int

    def grid(self, tokens: int) -> tuple[int, int, int]:
        """Programs of so many tokens each: examples × groups of tokens × of features."""
        groups = pl.cdiv(self.tokens, tokens)
        return self.examples, groups, pl.cdiv(self.features, _COLUMNS)


def gelu_of_biased(hidden: jax.Array, bias: jax.Array, *, interpret: bool = False) -> jax.Array:
    """Add a bias and apply the GELU in its tanh form.

    Args:
        hidden: [B, …, F].
        bias: [F].
        interpret: run the kernel's steps one by one on any machine, for tests.

    Returns:
        [B, …, F] of the type of ``hidden``, computed in float32.
    """
    flat = hidden.reshape(hidden.shape[0], -1, hidden.shape[-1])
    return _gelu(interpret, flat, bias).reshape(hidden.shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gelu(interpret: bool, hidden: jax.Array, bias: jax.Array) -> jax.Array:
    def forward(hidden: jax.Array, bias: jax.Array) -> jax.Array:
        sizes = _Sizes(*hidden.shape)
        like = jax.ShapeDtypeStruct(hidden.shape, hidden.dtype)
        grid = sizes.grid(_ROWS)
        call = launch(_forward_kernel, sizes, grid, [like], interpret=interpret, name="gelu")
        return call(hidden, bias)[0]

    return each_device_its_own(forward, hidden, shared=(bias,))


def _gelu_forward(
    interpret: bool, hidden: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _gelu(interpret, hidden, bias), (hidden, bias)


def _gelu_backward(
    interpret: bool, kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def backward(
        hidden: jax.Array, gradient: jax.Array, bias: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        sizes = _Sizes(*hidden.shape)
        grid = sizes.grid(_ROWS * _ROUNDS)
        sums = jax.ShapeDtypeStruct((*grid[:2], sizes.features), jnp.float32)
        outputs = [jax.ShapeDtypeStruct(hidden.shape, hidden.dtype), sums]
        name = "gelu_gradient"
        call = launch(_backward_kernel, sizes, grid, outputs, interpret=interpret, name=name)
        of_hidden, of_bias = call(hidden, gradient, bias)
        return of_hidden, of_bias

    hidden, bias = kept
    of_hidden, of_bias = each_device_its_own(backward, hidden, gradient, shared=(bias,))
    return of_hidden, of_bias.sum(axis=(0, 1)).astype(bias.dtype)


_gelu.defvjp(_gelu_forward, _gelu_backward)


def _feature() -> jax.Array:
    return pl.program_id(2) * _COLUMNS + jax.lax.broadcasted_iota(jnp.int32, (1, _COLUMNS), 1)


def _sigmoid_form(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the sigmoid by which the tanh form multiplies its argument, and that one's slope."""
    factor = math.sqrt(8 / math.pi)
    square = values * values
    share = 1 / (1 + jnp.exp(-factor * values * (1 + 0.044715 * square)))
    return share, factor * (1 + 3 * 0.044715 * square)


def _forward_kernel(sizes: _Sizes, hidden_ref: Ref, bias_ref: Ref, out_ref: Ref) -> None:
    feature = _feature()
    tile = Tile.of_rows(
        pl.program_id(0), pl.program_id(1) * _ROWS, _ROWS, feature, (sizes.tokens, sizes.features)
    )
    values = tile.load(hidden_ref) + load_parameter(bias_ref, feature, sizes.features)
    tile.store(out_ref, values * _sigmoid_form(values)[0])


def _backward_kernel(
    sizes: _Sizes,
    hidden_ref: Ref,
    gradient_ref: Ref,
    bias_ref: Ref,
    of_hidden_ref: Ref,
    of_bias_ref: Ref,
) -> None:
    feature = _feature()
    bias = load_parameter(bias_ref, feature, sizes.features)
    example, part = pl.program_id(0), pl.program_id(1)

    def take(number: jax.Array, total: jax.Array) -> jax.Array:
        first = (part * _ROUNDS + number) * _ROWS
        tile = Tile.of_rows(example, first, _ROWS, feature, (sizes.tokens, sizes.features))
        values = tile.load(hidden_ref) + bias
        share, slope = _sigmoid_form(values)
        of_values = tile.load(gradient_ref) * share * (1 + values * (1 - share) * slope)
        tile.store(of_hidden_ref, of_values)
        return total + jnp.sum(of_values, axis=0, keepdims=True)

    total = jax.lax.fori_loop(0, _ROUNDS, take, jnp.zeros(feature.shape, jnp.float32))
    at = of_bias_ref.at[example, part, feature]
    triton.store(at, total, mask=feature < sizes.features)
