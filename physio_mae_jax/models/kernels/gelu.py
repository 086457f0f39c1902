"""Bias and GELU in one pass over memory each way, together with the product after them.

The widest array of a block is that between the layers of its MLP. Compiled from the formula, the
way back writes intermediate results of that size to memory, and adds up the bias's gradient slowly.
It also needs the activations for the gradient of the second layer's matrix: the pass that goes back
through the GELU makes them again beside its gradient, so they are not kept.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from physio_mae_jax.models.kernels.launch import Ref, launch, like
from physio_mae_jax.models.kernels.rows import Rows, store_sums
from physio_mae_jax.models.kernels.tile import Tile, load_parameter
from physio_mae_jax.signals.own_examples import each_device_its_own

_ROWS = 4  # tokens that a program holds at once
_COLUMNS = 256  # and features of each
_ROUNDS = 8  # how often it takes so many on the way back, adding up its share of the sums


def _grid(rows: Rows, tokens: int) -> tuple[int, int, int]:
    """Return programs of so many tokens each: examples × groups of tokens × of features."""
    return (*rows.grid(tokens), pl.cdiv(rows.features, _COLUMNS))


def gelu_and_product(
    hidden: jax.Array, bias: jax.Array, kernel: jax.Array, *, interpret: bool = False
) -> jax.Array:
    """Add a bias, apply the GELU in its tanh form, and multiply by a matrix.

    Args:
        hidden: [B, …, F].
        bias: [F].
        kernel: [F, D] of the type of ``hidden``.
        interpret: run the kernels' steps one by one on any machine, for tests.

    Returns:
        [B, …, D] of the type of ``hidden``; the GELU is computed in float32.
    """
    flat = hidden.reshape(hidden.shape[0], -1, hidden.shape[-1])
    product = _gelu_and_product(interpret, flat, bias, kernel)
    return product.reshape(*hidden.shape[:-1], kernel.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gelu_and_product(
    interpret: bool, hidden: jax.Array, bias: jax.Array, kernel: jax.Array
) -> jax.Array:
    def forward(hidden: jax.Array, bias: jax.Array) -> jax.Array:
        rows, outputs = Rows.of(hidden), [like(hidden)]
        grid = _grid(rows, _ROWS)
        call = launch(_forward_kernel, rows, grid, outputs, interpret=interpret, name="gelu")
        return call(hidden, bias)[0]

    return jnp.dot(each_device_its_own(forward, hidden, shared=(bias,)), kernel)


def _forward(
    interpret: bool, hidden: jax.Array, bias: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    return _gelu_and_product(interpret, hidden, bias, kernel), (hidden, bias, kernel)


def _backward(
    interpret: bool, kept: tuple[jax.Array, jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    def backward(
        hidden: jax.Array, of_activations: jax.Array, bias: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        rows, number = Rows.of(hidden), _ROWS * _ROUNDS
        outputs = [like(hidden), like(hidden), rows.sums(number)]
        grid, name = _grid(rows, number), "gelu_gradient"
        call = launch(_backward_kernel, rows, grid, outputs, interpret=interpret, name=name)
        activations, of_hidden, of_bias = call(hidden, of_activations, bias)
        return activations, of_hidden, of_bias

    hidden, bias, kernel = kept
    of_activations = jnp.dot(gradient, kernel.T)
    activations, of_hidden, of_bias = each_device_its_own(
        backward, hidden, of_activations, shared=(bias,)
    )
    of_kernel = jnp.einsum("btf,btd->fd", activations, gradient)
    return of_hidden, of_bias.sum(axis=(0, 1)).astype(bias.dtype), of_kernel


_gelu_and_product.defvjp(_forward, _backward)


def _feature() -> jax.Array:
    return pl.program_id(2) * _COLUMNS + jax.lax.broadcasted_iota(jnp.int32, (1, _COLUMNS), 1)


def _sigmoid_form(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the sigmoid by which the tanh form multiplies its argument, and that one's slope."""
    factor = math.sqrt(8 / math.pi)
    square = values * values
    share = 1 / (1 + jnp.exp(-factor * values * (1 + 0.044715 * square)))
    return share, factor * (1 + 3 * 0.044715 * square)


def _forward_kernel(sizes: Rows, hidden_ref: Ref, bias_ref: Ref, out_ref: Ref) -> None:
    feature = _feature()
    tile = Tile.of_rows(
        pl.program_id(0), pl.program_id(1) * _ROWS, _ROWS, feature, (sizes.tokens, sizes.features)
    )
    values = tile.load(hidden_ref) + load_parameter(bias_ref, feature, sizes.features)
    tile.store(out_ref, values * _sigmoid_form(values)[0])


def _backward_kernel(
    sizes: Rows,
    hidden_ref: Ref,
    gradient_ref: Ref,
    bias_ref: Ref,
    activations_ref: Ref,
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
        tile.store(activations_ref, values * share)
        of_values = tile.load(gradient_ref) * share * (1 + values * (1 - share) * slope)
        tile.store(of_hidden_ref, of_values)
        return total + jnp.sum(of_values, axis=0, keepdims=True)

    total = jax.lax.fori_loop(0, _ROUNDS, take, jnp.zeros(feature.shape, jnp.float32))
    store_sums([of_bias_ref], [total], feature, sizes.features)
