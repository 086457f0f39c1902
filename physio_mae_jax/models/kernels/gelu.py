"""Bias and GELU with the matmul after them, and their backward pass as one pass over memory.

The widest array of a block is that between the layers of its MLP. In the forward pass XLA matches
the formula and fuses it into the epilogue of the matmul that produces that array, if allowed (see
``MaeConfig.compiler_options``). In the backward pass it would write intermediate results of that
size to memory and reduce the bias gradient slowly. The activations are also needed for the gradient
of the second layer's matrix: the backward kernel rematerializes them together with the GELU
gradient, so they are not saved.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from physio_mae_jax.models.kernels.launch import Ref, launch, like
from physio_mae_jax.models.kernels.rows import Rows, store_sums
from physio_mae_jax.models.kernels.tile import Tile
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.signals.data_parallel import shard_map_batch

_ROWS = 4  # tokens per program iteration
_COLUMNS = 256  # features per program
_ROUNDS = 8  # iterations of the backward kernel, which accumulate partial sums


def _grid(rows: Rows, tokens: int) -> tuple[int, int, int]:
    """Return the programs: examples × groups of ``tokens`` tokens × groups of features."""
    return (*rows.grid(tokens), pl.cdiv(rows.features, _COLUMNS))


def gelu_and_product(
    hidden: jax.Array, bias: jax.Array, kernel: jax.Array, *, interpret: bool = False
) -> jax.Array:
    """Add a bias, apply the GELU in its tanh form, and multiply by a matrix.

    Args:
        hidden: [B, …, F] matmul result without other uses.
        bias: [F].
        kernel: [F, D] of the type of ``hidden``.
        interpret: Run in interpreter mode on any device, for tests.

    Returns:
        [B, …, D] of the type of ``hidden``; the backward GELU is computed in float32.
    """
    flat = hidden.reshape(hidden.shape[0], -1, hidden.shape[-1])
    product = _gelu_and_product(interpret, flat, bias, kernel)
    return product.reshape(*hidden.shape[:-1], kernel.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gelu_and_product(
    interpret: bool, hidden: jax.Array, bias: jax.Array, kernel: jax.Array
) -> jax.Array:
    return _activated_product(_shifted(hidden, bias), kernel)


def _forward(
    interpret: bool, hidden: jax.Array, bias: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    shifted = save_for_backward(_shifted(hidden, bias))
    return _activated_product(shifted, kernel), (shifted, bias, kernel)


def _shifted(hidden: jax.Array, bias: jax.Array) -> jax.Array:
    return hidden + bias.astype(hidden.dtype)


def _activated_product(shifted: jax.Array, kernel: jax.Array) -> jax.Array:
    # Exactly the form that XLA matches.
    return jnp.dot(nn.gelu(shifted, approximate=True), kernel)


def _backward(
    interpret: bool, kept: tuple[jax.Array, jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    def backward(
        shifted: jax.Array, of_activations: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        rows, number = Rows.of(shifted), _ROWS * _ROUNDS
        outputs = [like(shifted), like(shifted), rows.sums(number)]
        grid, name = _grid(rows, number), "gelu_gradient"
        call = launch(_backward_kernel, rows, grid, outputs, interpret=interpret, name=name)
        activations, of_hidden, of_bias = call(shifted, of_activations)
        return activations, of_hidden, of_bias

    shifted, bias, kernel = kept
    of_activations = jnp.dot(gradient, kernel.T)
    activations, of_hidden, of_bias = shard_map_batch(backward, shifted, of_activations)
    of_kernel = jnp.einsum("btf,btd->fd", activations, gradient)
    return of_hidden, of_bias.sum(axis=(0, 1)).astype(bias.dtype), of_kernel


_gelu_and_product.defvjp(_forward, _backward)


def _feature() -> jax.Array:
    return pl.program_id(2) * _COLUMNS + jax.lax.broadcasted_iota(jnp.int32, (1, _COLUMNS), 1)


def _sigmoid_form(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the sigmoid factor of the GELU's tanh form, and the derivative of its argument."""
    factor = math.sqrt(8 / math.pi)
    square = values * values
    share = 1 / (1 + jnp.exp(-factor * values * (1 + 0.044715 * square)))
    return share, factor * (1 + 3 * 0.044715 * square)


def _backward_kernel(
    sizes: Rows,
    shifted_ref: Ref,
    gradient_ref: Ref,
    activations_ref: Ref,
    of_hidden_ref: Ref,
    of_bias_ref: Ref,
) -> None:
    feature = _feature()
    example, part = pl.program_id(0), pl.program_id(1)

    def take(number: jax.Array, total: jax.Array) -> jax.Array:
        first = (part * _ROUNDS + number) * _ROWS
        tile = Tile.of_rows(example, first, _ROWS, feature, (sizes.tokens, sizes.features))
        values = tile.load(shifted_ref)
        share, slope = _sigmoid_form(values)
        tile.store(activations_ref, values * share)
        of_values = tile.load(gradient_ref) * share * (1 + values * (1 - share) * slope)
        tile.store(of_hidden_ref, of_values)
        return total + jnp.sum(of_values, axis=0, keepdims=True)

    total = jax.lax.fori_loop(0, _ROUNDS, take, jnp.zeros(feature.shape, jnp.float32))
    store_sums([of_bias_ref], [total], feature, sizes.features)
