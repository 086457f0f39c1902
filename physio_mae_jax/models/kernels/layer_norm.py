"""LayerNorm and the residual sum before it, as one pass over memory in each direction.

A block adds a branch to its tokens, and the sum has two uses: the norm before the next branch, and
the next residual sum. The forward kernel therefore computes sum and norm in one pass; the backward
kernel adds the gradients of both uses in the pass through the norm. Compiled by XLA from the
formulas these are a dozen passes.
"""

import functools
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
_GRADIENT_ROWS = 2  # the same in the backward kernel
_ROUNDS = 8  # iterations of the backward kernel, which accumulate partial sums


class _Sizes(NamedTuple):
    rows: Rows
    epsilon: float

    @classmethod
    def of(cls, tokens: jax.Array, epsilon: float) -> "_Sizes":
        return cls(Rows.of(tokens), epsilon)


def normalize(
    tokens: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, *, interpret: bool = False
) -> tuple[jax.Array, jax.Array]:
    """Normalize each token (Ba et al. 2016).

    Args:
        tokens: [B, …, D].
        scale: [D].
        bias: [D].
        epsilon: Constant added to the variance.
        interpret: Run in interpreter mode on any device, for tests.

    Returns:
        (tokens, normalized), both [B, …, D]. Further uses of the tokens should take the first
        output, so that the backward kernel adds both gradients. Computed in float32.
    """
    flat = tokens.reshape(tokens.shape[0], -1, tokens.shape[-1])
    same, normed = _normalize(epsilon, interpret, flat, scale, bias)
    return same.reshape(tokens.shape), normed.reshape(tokens.shape)


def add_and_normalize(
    tokens: jax.Array,
    branch: jax.Array,
    branch_bias: jax.Array,
    share: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    *,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Add ``branch + share · branch_bias`` to tokens, and normalize the sum.

    Args:
        tokens: [B, …, D].
        branch: [B, …, D].
        branch_bias: [D].
        share: [B] float32, factor of the bias in each example; not differentiated.
        scale, bias, epsilon, interpret: As in ``normalize``.

    Returns:
        (sum, normalized sum), both [B, …, D] of the type of ``tokens``, computed in float32.
    """
    shape = tokens.shape
    flat = (values.reshape(shape[0], -1, shape[-1]) for values in (tokens, branch))
    total, normed = _add(epsilon, interpret, *flat, share, branch_bias, scale, bias)
    return total.reshape(shape), normed.reshape(shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _normalize(
    epsilon: float, interpret: bool, tokens: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def forward(tokens: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        sizes = _Sizes.of(tokens, epsilon)
        outputs = [like(tokens)]
        call = launch_rows(
            _norm_kernel, sizes, _ROWS, outputs, interpret=interpret, name="layer_norm"
        )
        return call(tokens, scale, bias)[0]

    return tokens, shard_map_batch(forward, tokens, shared=(scale, bias))


def _normalize_forward(
    epsilon: float, interpret: bool, tokens: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    _, normed = _normalize(epsilon, interpret, tokens, scale, bias)
    return (tokens, save_for_backward(normed)), (tokens, scale)


def _normalize_backward(
    epsilon: float,
    interpret: bool,
    kept: tuple[jax.Array, jax.Array],
    gradients: tuple[jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    of_tokens, of_scale, of_bias, _ = _backward_to_input(epsilon, interpret, *kept, gradients)
    return of_tokens, of_scale, of_bias


_normalize.defvjp(_normalize_forward, _normalize_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _add(
    epsilon: float,
    interpret: bool,
    tokens: jax.Array,
    branch: jax.Array,
    share: jax.Array,
    branch_bias: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    def forward(tokens: jax.Array, *rest: jax.Array) -> tuple[jax.Array, jax.Array]:
        sizes = _Sizes.of(tokens, epsilon)
        outputs = [like(tokens)] * 2
        name = "add_and_layer_norm"
        call = launch_rows(_sum_kernel, sizes, _ROWS, outputs, interpret=interpret, name=name)
        total, normed = call(tokens, *rest)
        return total, normed

    shared = (branch_bias, scale, bias)
    return shard_map_batch(forward, tokens, branch, share, shared=shared)


def _add_forward(
    epsilon: float, interpret: bool, *given: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, ...]]:
    total, normed = _add(epsilon, interpret, *given)
    # Marked here, since the backward pass uses the returned sum itself.
    total = save_for_backward(total)
    _, _, share, branch_bias, scale, _ = given
    return (total, save_for_backward(normed)), (total, scale, share, branch_bias)


def _add_backward(
    epsilon: float,
    interpret: bool,
    kept: tuple[jax.Array, ...],
    gradients: tuple[jax.Array, jax.Array],
) -> tuple[jax.Array, ...]:
    total, scale, share, branch_bias = kept
    of_total, of_scale, of_bias, sums = _backward_to_input(
        epsilon, interpret, total, scale, gradients
    )
    of_branch_bias = jnp.einsum("b,bd->d", share, sums).astype(branch_bias.dtype)
    return of_total, of_total, jnp.zeros_like(share), of_branch_bias, of_scale, of_bias


_add.defvjp(_add_forward, _add_backward)


def _backward_to_input(
    epsilon: float,
    interpret: bool,
    tokens: jax.Array,
    scale: jax.Array,
    gradients: tuple[jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return the gradients of tokens, scale and bias, and each example's sum of the first [B, D].

    ``gradients`` are those of both outputs: the passed-through tokens and the normalized ones.
    """

    def backward(tokens: jax.Array, *rest: jax.Array) -> tuple[jax.Array, ...]:
        sizes = _Sizes.of(tokens, epsilon)
        number = _GRADIENT_ROWS * _ROUNDS
        outputs = [like(tokens), *[sizes.rows.sums(number)] * 3]
        name = "layer_norm_gradient"
        call = launch_rows(_backward_kernel, sizes, number, outputs, interpret=interpret, name=name)
        return tuple(call(tokens, *rest))

    of_tokens, *sums = shard_map_batch(backward, tokens, *gradients, shared=(scale,))
    of_scale, of_bias = (values.sum(axis=(0, 1)).astype(scale.dtype) for values in sums[:2])
    return of_tokens, of_scale, of_bias, sums[2].sum(axis=1)


def _once(sizes: _Sizes) -> Tile:
    """Return the tile of a program without iterations."""
    return sizes.rows.tile(pl.program_id(0), pl.program_id(1) * _ROWS, _ROWS)


def _standardized(sizes: _Sizes, tile: Tile, tokens: jax.Array) -> Standardized:
    return Standardized.of(tokens, tile.inside, sizes.rows.features, sizes.epsilon)


def _norm_kernel(
    sizes: _Sizes, tokens_ref: Ref, scale_ref: Ref, bias_ref: Ref, normed_ref: Ref
) -> None:
    rows = _once(sizes)
    standard = _standardized(sizes, rows, rows.load(tokens_ref))
    standard.store(normed_ref, rows, scale_ref, bias_ref)


def _sum_kernel(
    sizes: _Sizes,
    tokens_ref: Ref,
    branch_ref: Ref,
    share_ref: Ref,
    branch_bias_ref: Ref,
    scale_ref: Ref,
    bias_ref: Ref,
    total_ref: Ref,
    normed_ref: Ref,
) -> None:
    rows = _once(sizes)
    offset = load_parameter(branch_bias_ref, rows.feature, sizes.rows.features)
    offset = offset * share_ref[rows.example]
    total = rows.load(tokens_ref) + (rows.load(branch_ref) + offset)
    # The norm uses the sum as stored (rounded), which the backward pass starts from.
    total = jnp.where(rows.inside, total.astype(total_ref.dtype).astype(jnp.float32), 0.0)
    rows.store(total_ref, total)
    _standardized(sizes, rows, total).store(normed_ref, rows, scale_ref, bias_ref)


def _backward_kernel(
    sizes: _Sizes,
    tokens_ref: Ref,
    of_passed_ref: Ref,
    of_normed_ref: Ref,
    scale_ref: Ref,
    of_tokens_ref: Ref,
    *sum_refs: Ref,
) -> None:
    feature = sizes.rows.feature()
    scale = load_parameter(scale_ref, feature, sizes.rows.features)
    example, part = pl.program_id(0), pl.program_id(1)

    def take(number: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        first = (part * _ROUNDS + number) * _GRADIENT_ROWS
        rows = sizes.rows.tile(example, first, _GRADIENT_ROWS)
        standard = _standardized(sizes, rows, rows.load(tokens_ref))
        of_normed = rows.load(of_normed_ref)
        of_tokens = rows.load(of_passed_ref) + standard.pull(of_normed * scale)
        rows.store(of_tokens_ref, of_tokens)
        parts = (of_normed * standard.values, of_normed, jnp.where(rows.inside, of_tokens, 0.0))
        return add_to_sums(sums, parts)

    zeros = (jnp.zeros(feature.shape, jnp.float32),) * 3
    sums = jax.lax.fori_loop(0, _ROUNDS, take, zeros)
    store_sums(sum_refs, sums, feature, sizes.rows.features)
