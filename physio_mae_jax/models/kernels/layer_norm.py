"""LayerNorm as one pass over memory each way.

Compiled from its formula it takes five or six passes: one for the statistics and one to use them,
and on the way back the statistics again, sums over features, sums over tokens, and one to use them.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from physio_mae_jax.models.kernels.launch import Ref, launch
from physio_mae_jax.models.kernels.tile import Tile, load_parameter
from physio_mae_jax.signals.own_examples import each_device_its_own

_ROWS = 8  # tokens that a program holds at once
_ROUNDS = 8  # how often it takes so many on the way back, adding up its share of the sums


class _Sizes(NamedTuple):
    examples: int
    tokens: int
    features: int
    epsilon: float

    @property
    def padded_features(self) -> int:
        """Features a program sees; blocks of a kernel have powers of two as sizes."""
        return pl.next_power_of_2(self.features)


def normalise_tokens(
    tokens: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    *,
    interpret: bool = False,
) -> jax.Array:
    """Normalise each token (Ba et al. 2016).

    Args:
        tokens: [B, …, D].
        scale: [D].
        bias: [D].
        epsilon: added to the variance.
        interpret: run the kernel's steps one by one on any machine, for tests.

    Returns:
        [B, …, D] of the type of ``tokens``, computed in float32.
    """
    flat = tokens.reshape(tokens.shape[0], -1, tokens.shape[-1])
    return _normalise(epsilon, interpret, flat, scale, bias).reshape(tokens.shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _normalise(
    epsilon: float, interpret: bool, tokens: jax.Array, scale: jax.Array, bias: jax.Array
) -> jax.Array:
    def forward(tokens: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        sizes = _sizes(tokens, epsilon)
        grid = (sizes.examples, pl.cdiv(sizes.tokens, _ROWS))
        like = jax.ShapeDtypeStruct(tokens.shape, tokens.dtype)
        call = launch(_forward_kernel, sizes, grid, [like], interpret=interpret, name="layer_norm")
        return call(tokens, scale, bias)[0]

    return each_device_its_own(forward, tokens, shared=(scale, bias))


def _normalise_forward(
    epsilon: float, interpret: bool, tokens: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _normalise(epsilon, interpret, tokens, scale, bias), (tokens, scale)


def _normalise_backward(
    epsilon: float, interpret: bool, kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    def backward(
        tokens: jax.Array, gradient: jax.Array, scale: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        sizes = _sizes(tokens, epsilon)
        grid = (sizes.examples, pl.cdiv(sizes.tokens, _ROWS * _ROUNDS))
        sums = jax.ShapeDtypeStruct((*grid, sizes.features), jnp.float32)
        outputs = [jax.ShapeDtypeStruct(tokens.shape, tokens.dtype), sums, sums]
        name = "layer_norm_gradient"
        call = launch(_backward_kernel, sizes, grid, outputs, interpret=interpret, name=name)
        of_tokens, of_scale, of_bias = call(tokens, gradient, scale)
        return of_tokens, of_scale, of_bias

    tokens, scale = kept
    of_tokens, of_scale, of_bias = each_device_its_own(backward, tokens, gradient, shared=(scale,))
    return (
        of_tokens,
        of_scale.sum(axis=(0, 1)).astype(scale.dtype),
        of_bias.sum(axis=(0, 1)).astype(scale.dtype),
    )


_normalise.defvjp(_normalise_forward, _normalise_backward)


def _sizes(tokens: jax.Array, epsilon: float) -> _Sizes:
    examples, number, features = tokens.shape
    return _Sizes(examples, number, features, epsilon)


def _rows(sizes: _Sizes, example: jax.Array, first: jax.Array) -> Tile:
    """Take whole tokens from ``first`` on."""
    limits = (sizes.tokens, sizes.features)
    return Tile.of_rows(example, first, _ROWS, _feature(sizes), limits)


def _feature(sizes: _Sizes) -> jax.Array:
    return jax.lax.broadcasted_iota(jnp.int32, (1, sizes.padded_features), 1)


def _standardised(
    tokens: jax.Array, inside: jax.Array, sizes: _Sizes
) -> tuple[jax.Array, jax.Array]:
    """Return tokens [R, F] standardised, and one over their deviation [R, 1]."""
    mean = jnp.sum(tokens, axis=1, keepdims=True) / sizes.features
    centred = jnp.where(inside, tokens - mean, 0.0)
    variance = jnp.sum(centred * centred, axis=1, keepdims=True) / sizes.features
    inverse = jax.lax.rsqrt(variance + sizes.epsilon)
    return centred * inverse, inverse


def _forward_kernel(
    sizes: _Sizes, tokens_ref: Ref, scale_ref: Ref, bias_ref: Ref, normed_ref: Ref
) -> None:
    rows = _rows(sizes, pl.program_id(0), pl.program_id(1) * _ROWS)
    standard, _ = _standardised(rows.load(tokens_ref), rows.inside, sizes)
    scale = load_parameter(scale_ref, rows.feature, sizes.features)
    bias = load_parameter(bias_ref, rows.feature, sizes.features)
    rows.store(normed_ref, standard * scale + bias)


def _backward_kernel(
    sizes: _Sizes,
    tokens_ref: Ref,
    gradient_ref: Ref,
    scale_ref: Ref,
    of_tokens_ref: Ref,
    of_scale_ref: Ref,
    of_bias_ref: Ref,
) -> None:
    feature = _feature(sizes)
    scale = load_parameter(scale_ref, feature, sizes.features)
    example, part = pl.program_id(0), pl.program_id(1)

    def take(number: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        rows = _rows(sizes, example, (part * _ROUNDS + number) * _ROWS)
        gradient = rows.load(gradient_ref)
        standard, inverse = _standardised(rows.load(tokens_ref), rows.inside, sizes)
        scaled = gradient * scale
        mean = jnp.sum(scaled, axis=1, keepdims=True) / sizes.features
        along = jnp.sum(scaled * standard, axis=1, keepdims=True) / sizes.features
        rows.store(of_tokens_ref, inverse * (scaled - mean - standard * along))
        of_scale, of_bias = sums
        return (
            of_scale + jnp.sum(gradient * standard, axis=0, keepdims=True),
            of_bias + jnp.sum(gradient, axis=0, keepdims=True),
        )

    zeros = jnp.zeros(feature.shape, jnp.float32)
    of_scale, of_bias = jax.lax.fori_loop(0, _ROUNDS, take, (zeros, zeros))
    for ref, values in ((of_scale_ref, of_scale), (of_bias_ref, of_bias)):
        at = ref.at[example, part, feature]
        triton.store(at, values, mask=feature < sizes.features)
