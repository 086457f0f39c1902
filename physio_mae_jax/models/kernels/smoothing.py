"""Smoothing in time and the LayerNorm after it: one pass over memory forward, two backward.

A program also reads the neighbors of its tokens; what is close in time is close in memory, so they
come from the cache. The smoothed tokens are never written.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from physio_mae_jax.models.kernels.launch import Ref, like
from physio_mae_jax.models.kernels.rows import (
    Rows,
    Standardized,
    add_to_sums,
    launch_rows,
    store_sums,
)
from physio_mae_jax.models.kernels.tile import Tile, load_parameter
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.signals.data_parallel import shard_map_batch

_ROWS = 4  # tokens per program iteration
_GRADIENT_ROWS = 2  # the same in the backward kernel of the norm
_ROUNDS = 8  # iterations of that kernel, which accumulate partial sums


class _Sizes(NamedTuple):
    rows: Rows
    sequence: int  # tokens per sequence
    position: int  # tokens of one time position: the distance to a neighbor
    epsilon: float

    @classmethod
    def of(cls, tokens: jax.Array, lengths: tuple[int, int], epsilon: float) -> "_Sizes":
        return cls(Rows.of(tokens), *lengths, epsilon)


def smooth_and_normalize(
    tokens: jax.Array,
    taps: jax.Array,
    taps_bias: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    *,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Smooth along K with zeros past both ends, and normalize each smoothed token.

    Args:
        tokens: [B, M, K, R, D].
        taps: [3, D] weights of the previous, current and next position.
        taps_bias: [D].
        scale, bias: [D] parameters of the norm.
        epsilon: Constant added to the variance.
        interpret: Run in interpreter mode on any device, for tests.

    Returns:
        (tokens, normalized), as in ``layer_norm.normalize``. Computed in float32.
    """
    shape = tokens.shape
    lengths = (shape[2] * shape[3], shape[3])
    flat = tokens.reshape(shape[0], -1, shape[-1])
    same, normed = _smooth(lengths, epsilon, interpret, flat, taps, taps_bias, scale, bias)
    return same.reshape(shape), normed.reshape(shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _smooth(
    lengths: tuple[int, int],
    epsilon: float,
    interpret: bool,
    tokens: jax.Array,
    *parameters: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    def forward(tokens: jax.Array, *parameters: jax.Array) -> jax.Array:
        sizes = _Sizes.of(tokens, lengths, epsilon)
        outputs, name = [like(tokens)], "smooth_and_norm"
        call = launch_rows(_forward_kernel, sizes, _ROWS, outputs, interpret=interpret, name=name)
        return call(tokens, *parameters)[0]

    return tokens, shard_map_batch(forward, tokens, shared=parameters)


def _smooth_forward(
    lengths: tuple[int, int],
    epsilon: float,
    interpret: bool,
    tokens: jax.Array,
    *parameters: jax.Array,
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, ...]]:
    _, normed = _smooth(lengths, epsilon, interpret, tokens, *parameters)
    taps, taps_bias, scale, _ = parameters
    return (tokens, save_for_backward(normed)), (tokens, taps, taps_bias, scale)


def _smooth_backward(
    lengths: tuple[int, int],
    epsilon: float,
    interpret: bool,
    kept: tuple[jax.Array, ...],
    gradients: tuple[jax.Array, jax.Array],
) -> tuple[jax.Array, ...]:
    tokens, taps, taps_bias, scale = kept
    of_passed, of_normed = gradients

    def through_norm(
        tokens: jax.Array, of_normed: jax.Array, *parameters: jax.Array
    ) -> tuple[jax.Array, ...]:
        sizes = _Sizes.of(tokens, lengths, epsilon)
        number = _GRADIENT_ROWS * _ROUNDS
        outputs = [like(tokens), *[sizes.rows.sums(number)] * 6]
        name = "smooth_and_norm_gradient"
        call = launch_rows(
            _norm_gradient_kernel, sizes, number, outputs, interpret=interpret, name=name
        )
        return tuple(call(tokens, of_normed, *parameters))

    def through_kernel(of_smoothed: jax.Array, of_passed: jax.Array, taps: jax.Array) -> jax.Array:
        sizes = _Sizes.of(of_smoothed, lengths, epsilon)
        outputs, name = [like(of_smoothed)], "smoothing_gradient"
        call = launch_rows(
            _kernel_gradient_kernel, sizes, _ROWS, outputs, interpret=interpret, name=name
        )
        return call(of_smoothed, of_passed, taps)[0]

    of_smoothed, *sums = shard_map_batch(
        through_norm, tokens, of_normed, shared=(taps, taps_bias, scale)
    )
    of_tokens = shard_map_batch(through_kernel, of_smoothed, of_passed, shared=(taps,))
    earlier, own, later, of_taps_bias, of_scale, of_bias = (
        values.sum(axis=(0, 1)).astype(scale.dtype) for values in sums
    )
    return of_tokens, jnp.stack([earlier, own, later]), of_taps_bias, of_scale, of_bias


_smooth.defvjp(_smooth_forward, _smooth_backward)


class _Neighbors(NamedTuple):
    """Tokens at one time position, at the previous and at the next."""

    earlier: Tile
    own: Tile
    later: Tile

    @classmethod
    def at(cls, sizes: _Sizes, example: jax.Array, first: jax.Array, num_rows: int) -> "_Neighbors":
        """Return ``num_rows`` tokens of an example from ``first`` on."""
        own = sizes.rows.tile(example, first, num_rows)
        within = own.token % sizes.sequence
        earlier = own.shifted(-sizes.position, within >= sizes.position)
        return cls(
            earlier, own, own.shifted(sizes.position, within < sizes.sequence - sizes.position)
        )

    def load(self, ref: Ref) -> tuple[jax.Array, jax.Array, jax.Array]:
        return self.earlier.load(ref), self.own.load(ref), self.later.load(ref)


def _load_taps(sizes: _Sizes, ref: Ref) -> tuple[jax.Array, ...]:
    feature = sizes.rows.feature()
    return tuple(load_parameter(ref, feature, sizes.rows.features, tap) for tap in range(3))


def _weighed(start: jax.Array, taps: Sequence[jax.Array], tokens: Sequence[jax.Array]) -> jax.Array:
    """Add to ``start`` the tokens of three positions, each times its tap."""
    for tap, values in zip(taps, tokens, strict=True):
        start = start + tap * values
    return start


def _forward_kernel(
    sizes: _Sizes,
    tokens_ref: Ref,
    taps_ref: Ref,
    taps_bias_ref: Ref,
    scale_ref: Ref,
    bias_ref: Ref,
    normed_ref: Ref,
) -> None:
    rows = _Neighbors.at(sizes, pl.program_id(0), pl.program_id(1) * _ROWS, _ROWS)
    taps_bias = load_parameter(taps_bias_ref, rows.own.feature, sizes.rows.features)
    smoothed = _weighed(taps_bias, _load_taps(sizes, taps_ref), rows.load(tokens_ref))
    standard = Standardized.of(smoothed, rows.own.inside, sizes.rows.features, sizes.epsilon)
    standard.store(normed_ref, rows.own, scale_ref, bias_ref)


def _norm_gradient_kernel(
    sizes: _Sizes,
    tokens_ref: Ref,
    of_normed_ref: Ref,
    taps_ref: Ref,
    taps_bias_ref: Ref,
    scale_ref: Ref,
    of_smoothed_ref: Ref,
    *sum_refs: Ref,
) -> None:
    """Backpropagate through the norm; sum the gradients of taps, their bias, scale and bias."""
    feature = sizes.rows.feature()
    taps = _load_taps(sizes, taps_ref)
    taps_bias = load_parameter(taps_bias_ref, feature, sizes.rows.features)
    scale = load_parameter(scale_ref, feature, sizes.rows.features)
    example, part = pl.program_id(0), pl.program_id(1)

    def take(number: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        first = (part * _ROUNDS + number) * _GRADIENT_ROWS
        rows = _Neighbors.at(sizes, example, first, _GRADIENT_ROWS)
        tokens = rows.load(tokens_ref)
        smoothed = _weighed(taps_bias, taps, tokens)
        standard = Standardized.of(smoothed, rows.own.inside, sizes.rows.features, sizes.epsilon)
        of_normed = rows.own.load(of_normed_ref)
        of_smoothed = jnp.where(rows.own.inside, standard.pull(of_normed * scale), 0.0)
        rows.own.store(of_smoothed_ref, of_smoothed)
        parts = (
            *(of_smoothed * values for values in tokens),
            of_smoothed,
            of_normed * standard.values,
            of_normed,
        )
        return add_to_sums(sums, parts)

    zeros = (jnp.zeros(feature.shape, jnp.float32),) * 6
    sums = jax.lax.fori_loop(0, _ROUNDS, take, zeros)
    store_sums(sum_refs, sums, feature, sizes.rows.features)


def _kernel_gradient_kernel(
    sizes: _Sizes, of_smoothed_ref: Ref, of_passed_ref: Ref, taps_ref: Ref, of_tokens_ref: Ref
) -> None:
    rows = _Neighbors.at(sizes, pl.program_id(0), pl.program_id(1) * _ROWS, _ROWS)
    # A token is the previous neighbor of its next one.
    taps = _load_taps(sizes, taps_ref)[::-1]
    of_tokens = _weighed(rows.own.load(of_passed_ref), taps, rows.load(of_smoothed_ref))
    rows.own.store(of_tokens_ref, of_tokens)
