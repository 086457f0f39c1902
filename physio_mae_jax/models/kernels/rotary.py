"""Queries, keys and values for attention: a projection, and rotation in one pass over memory.

Fused attention expects separate arrays. From one matmul for all three, XLA rotates and splits in
five passes, and concatenates their gradients in one that reads each of them three times. Here
values have a separate matmul, and queries and keys are rotated and split in one pass; in the
backward pass one kernel rotates and concatenates all three, for one matmul each for the tokens
and the matrix.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from physio_mae_jax.models.kernels.launch import Ref, launch
from physio_mae_jax.models.rotary import Rotation, rotate_half
from physio_mae_jax.signals.data_parallel import shard_map_batch

_ROWS = 64  # tokens × heads per program


class _Sizes(NamedTuple):
    sequences: int
    tokens: int
    heads: int
    half: int  # half the head size

    @property
    def grid(self) -> tuple[int, int]:
        """Programs: sequences × groups of tokens and heads."""
        return self.sequences, pl.cdiv(self.tokens * self.heads, _ROWS)


def project_and_rotate(
    tokens: jax.Array,
    kernel: jax.Array,
    rotation: Rotation,
    num_heads: int,
    *,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Project queries, keys and values, and rotate the first two (models.md#rotary-positions).

    Args:
        tokens: [B, T, F].
        kernel: [F, 3 · D] for queries, keys and values, of the type of ``tokens``.
        rotation: Rotary angles, [B, T, d / 2] each.
        num_heads: Number of heads h, with D = h · d.
        interpret: Run in interpreter mode on any device, for tests.

    Returns:
        Three arrays [B, T, h, d].
    """
    return _project(interpret, num_heads, tokens, kernel, *rotation)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _project(
    interpret: bool,
    num_heads: int,
    tokens: jax.Array,
    kernel: jax.Array,
    cos: jax.Array,
    sin: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    def split(pairs: jax.Array, cos: jax.Array, sin: jax.Array) -> tuple[jax.Array, ...]:
        sequences, num_tokens, _, heads, head_dim = pairs.shape
        sizes = _Sizes(sequences, num_tokens, heads, head_dim // 2)
        part = jax.ShapeDtypeStruct((sequences, num_tokens, heads, head_dim), pairs.dtype)
        name = "split_and_rotate"
        call = launch(_split_kernel, sizes, sizes.grid, [part] * 2, interpret=interpret, name=name)
        return tuple(call(pairs, cos, sin))

    outer, width = tokens.shape[:-1], kernel.shape[1] // 3
    pairs = jnp.dot(tokens, kernel[:, : 2 * width]).reshape(*outer, 2, num_heads, -1)
    # XLA would merge two matmuls of the same tokens and split the result.
    value = jnp.dot(jax.lax.optimization_barrier(tokens), kernel[:, 2 * width :])
    query, key = shard_map_batch(split, pairs, cos, sin)
    return query, key, value.reshape(*outer, num_heads, -1)


def _project_forward(
    interpret: bool, num_heads: int, *given: jax.Array
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, ...]]:
    return _project(interpret, num_heads, *given), given


def _project_backward(
    interpret: bool,
    num_heads: int,
    kept: tuple[jax.Array, ...],
    gradients: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, ...]:
    def join(*arrays: jax.Array) -> jax.Array:
        sequences, num_tokens, heads, head_dim = arrays[0].shape
        sizes = _Sizes(sequences, num_tokens, heads, head_dim // 2)
        shape = (sequences, num_tokens, 3, heads, head_dim)
        outputs = [jax.ShapeDtypeStruct(shape, arrays[0].dtype)]
        name = "split_and_rotate_gradient"
        call = launch(_join_kernel, sizes, sizes.grid, outputs, interpret=interpret, name=name)
        return call(*arrays)[0]

    tokens, kernel, cos, sin = kept
    of_all = shard_map_batch(join, *gradients, cos, sin)
    of_all = of_all.reshape(*tokens.shape[:-1], -1)
    of_kernel = jnp.einsum("btf,btd->fd", tokens, of_all)
    # Angles depend on positions, which are not learned.
    nothing = jnp.zeros_like(cos)
    return jnp.dot(of_all, kernel.T), of_kernel, nothing, nothing


_project.defvjp(_project_forward, _project_backward)


class _Rows(NamedTuple):
    """Indices of a program's tokens and heads, and of their angles."""

    sequence: jax.Array
    token: jax.Array  # [r, 1]
    head: jax.Array  # [r, 1]
    feature: jax.Array  # [1, F], of a half
    inside: jax.Array  # [r, F] bool
    half: int

    def load(self, ref: Ref, *part: int) -> tuple[jax.Array, jax.Array]:
        """Read both halves [r, F] float32; ``part`` selects query (0), key (1) or value (2)."""
        first, second = (
            triton.load(self._at(ref, part, shift), mask=self.inside, other=0.0).astype(jnp.float32)
            for shift in (0, self.half)
        )
        return first, second

    def store(self, ref: Ref, halves: tuple[jax.Array, jax.Array], *part: int) -> None:
        for shift, values in zip((0, self.half), halves, strict=True):
            at = self._at(ref, part, shift)
            triton.store(at, values.astype(ref.dtype), mask=self.inside)

    def angle(self, ref: Ref) -> jax.Array:
        at = ref.at[self.sequence, self.token, self.feature]
        return triton.load(at, mask=self.inside, other=0.0)

    def _at(self, ref: Ref, part: tuple[int, ...], shift: int) -> Ref:
        return ref.at[(self.sequence, self.token, *part, self.head, self.feature + shift)]


def _rows(sizes: _Sizes) -> _Rows:
    row = pl.program_id(1) * _ROWS + jax.lax.broadcasted_iota(jnp.int32, (_ROWS, 1), 0)
    token, head = row // sizes.heads, row % sizes.heads
    width = pl.next_power_of_2(sizes.half)
    feature = jax.lax.broadcasted_iota(jnp.int32, (1, width), 1)
    inside = (token < sizes.tokens) & (feature < sizes.half)
    return _Rows(pl.program_id(0), token, head, feature, inside, sizes.half)


def _split_kernel(
    sizes: _Sizes, pairs_ref: Ref, cos_ref: Ref, sin_ref: Ref, query: Ref, key: Ref
) -> None:
    rows = _rows(sizes)
    cos, sin = rows.angle(cos_ref), rows.angle(sin_ref)
    rows.store(query, rotate_half(*rows.load(pairs_ref, 0), cos, sin))
    rows.store(key, rotate_half(*rows.load(pairs_ref, 1), cos, sin))


def _join_kernel(
    sizes: _Sizes, query: Ref, key: Ref, value: Ref, cos_ref: Ref, sin_ref: Ref, all_ref: Ref
) -> None:
    rows = _rows(sizes)
    cos, sin = rows.angle(cos_ref), rows.angle(sin_ref)
    rows.store(all_ref, rotate_half(*rows.load(query), cos, -sin), 0)
    rows.store(all_ref, rotate_half(*rows.load(key), cos, -sin), 1)
    rows.store(all_ref, rows.load(value), 2)
