"""Shared parts of kernels over whole tokens: launch sizes, partial sums, norms."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from physio_mae_jax.models.kernels.launch import Ref, launch
from physio_mae_jax.models.kernels.tile import Tile, load_parameter

# Features of a token per warp, eight per thread: measured to be fastest.
_FEATURES_OF_A_WARP = 256


class Rows(NamedTuple):
    """The sizes of tokens [B, N, F]."""

    examples: int
    tokens: int
    features: int

    @classmethod
    def of(cls, tokens: jax.Array) -> "Rows":
        """Return the sizes of an array."""
        examples, number, features = tokens.shape
        return cls(examples, number, features)

    @property
    def padded_features(self) -> int:
        """Features per program; block sizes of a kernel are powers of two."""
        return pl.next_power_of_2(self.features)

    def feature(self) -> jax.Array:
        """Return the features [1, c] of a whole token, within a kernel."""
        return jax.lax.broadcasted_iota(jnp.int32, (1, self.padded_features), 1)

    def tile(self, example: jax.Array, first: jax.Array, number: int) -> Tile:
        """Return ``number`` whole tokens of an example from ``first`` on, within a kernel."""
        limits = (self.tokens, self.features)
        return Tile.of_rows(example, first, number, self.feature(), limits)

    def sums(self, tokens_a_program: int) -> jax.ShapeDtypeStruct:
        """Describe an output for partial sums over tokens, one per program: [B, parts, F]."""
        return jax.ShapeDtypeStruct((*self.grid(tokens_a_program), self.features), jnp.float32)

    def grid(self, tokens_a_program: int) -> tuple[int, int]:
        """Return the programs: examples × groups of tokens."""
        return self.examples, pl.cdiv(self.tokens, tokens_a_program)


class _HasRows(Protocol):
    @property
    def rows(self) -> Rows: ...


def launch_rows(
    kernel: Callable[..., None],
    sizes: _HasRows,
    tokens_a_program: int,
    outputs: Sequence[jax.ShapeDtypeStruct],
    *,
    interpret: bool,
    name: str,
) -> Callable[..., list[jax.Array]]:
    """Return a kernel over whole tokens, a fixed number per program; otherwise as ``launch``."""
    rows = sizes.rows
    return launch(
        kernel,
        sizes,
        rows.grid(tokens_a_program),
        outputs,
        interpret=interpret,
        name=name,
        num_warps=max(1, rows.padded_features // _FEATURES_OF_A_WARP),
    )


def add_to_sums(sums: Sequence[jax.Array], tokens: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
    """Add up tokens [r, c], each to its sum [1, c]."""
    return tuple(
        total + jnp.sum(part, axis=0, keepdims=True)
        for total, part in zip(sums, tokens, strict=True)
    )


def store_sums(
    refs: Sequence[Ref], sums: Sequence[jax.Array], feature: jax.Array, num_features: int
) -> None:
    """Write a program's partial sums [1, c] over tokens into refs [B, parts, F]."""
    for ref, values in zip(refs, sums, strict=True):
        at = ref.at[pl.program_id(0), pl.program_id(1), feature]
        triton.store(at, values, mask=feature < num_features)


class Standardized(NamedTuple):
    """Tokens minus their mean, divided by their standard deviation.

    Attributes:
        values: [r, c], 0 outside.
        inverse: [r, 1] reciprocal of the standard deviation.
        num_features: Number of features F.
    """

    values: jax.Array
    inverse: jax.Array
    num_features: int

    @classmethod
    def of(
        cls, tokens: jax.Array, inside: jax.Array, num_features: int, epsilon: float
    ) -> "Standardized":
        """Standardize [r, c] of which F features are ``inside``."""
        mean = jnp.sum(tokens, axis=1, keepdims=True) / num_features
        centered = jnp.where(inside, tokens - mean, 0.0)
        variance = jnp.sum(centered * centered, axis=1, keepdims=True) / num_features
        inverse = jax.lax.rsqrt(variance + epsilon)
        return cls(centered * inverse, inverse, num_features)

    def pull(self, gradient: jax.Array) -> jax.Array:
        """Return the gradient of the tokens from that of ``values``, both [r, c]."""
        mean = jnp.sum(gradient, axis=1, keepdims=True) / self.num_features
        along = jnp.sum(gradient * self.values, axis=1, keepdims=True) / self.num_features
        return self.inverse * (gradient - mean - self.values * along)

    def store(self, ref: Ref, tile: Tile, scale_ref: Ref, bias_ref: Ref) -> None:
        """Write the scaled and shifted tokens of a tile, the LayerNorm output."""
        scale = load_parameter(scale_ref, tile.feature, self.num_features)
        bias = load_parameter(bias_ref, tile.feature, self.num_features)
        tile.store(ref, self.values * scale + bias)
