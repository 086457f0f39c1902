"""A rectangle of tokens and features that a program works on, and norms of its tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from physio_mae_jax.models.kernels.launch import Ref


class Tile(NamedTuple):
    """Where some features of some tokens of an array [B, N, F] lie, F being the last axis."""

    example: jax.Array
    token: jax.Array  # [R, 1]
    feature: jax.Array  # [1, C]
    inside: jax.Array  # [R, C] bool

    @classmethod
    def of_rows(
        cls,
        example: jax.Array,
        first: jax.Array,
        num_rows: int,
        feature: jax.Array,
        limits: tuple[int, int],
    ) -> "Tile":
        """Take ``num_rows`` tokens from ``first`` on, within ``limits`` (N, F)."""
        token = first + jax.lax.broadcasted_iota(jnp.int32, (num_rows, 1), 0)
        inside = (token < limits[0]) & (feature < limits[1])
        return cls(example, token, feature, inside)

    def shifted(self, by: int, exists: jax.Array) -> "Tile":
        """Take the tokens ``by`` further on, where they exist [R, 1]."""
        return self._replace(token=self.token + by, inside=self.inside & exists)

    def load(self, ref: Ref) -> jax.Array:
        """Read [R, C] as float32, 0 outside."""
        at = ref.at[self.example, self.token, self.feature]
        return triton.load(at, mask=self.inside, other=0.0).astype(jnp.float32)

    def store(self, ref: Ref, values: jax.Array) -> None:
        """Write [R, C], but what lies outside."""
        at = ref.at[self.example, self.token, self.feature]
        triton.store(at, values.astype(ref.dtype), mask=self.inside)


def all_features(number: int) -> jax.Array:
    """Return the features [1, C] of a whole token; C is the next power of two, as blocks want."""
    return jax.lax.broadcasted_iota(jnp.int32, (1, pl.next_power_of_2(number)), 1)


def warps_of_rows(num_features: int) -> int:
    """Return how many warps work best on whole tokens: with eight features of each for a thread."""
    return max(1, pl.next_power_of_2(num_features) // 256)


def load_parameter(ref: Ref, feature: jax.Array, num_features: int, *index: int) -> jax.Array:
    """Read a parameter [F], or that at ``index`` of [..., F], at features [1, C] as float32."""
    values = triton.load(ref.at[(*index, feature)], mask=feature < num_features, other=0.0)
    return values.astype(jnp.float32)


def store_sums(
    refs: Sequence[Ref], sums: Sequence[jax.Array], feature: jax.Array, num_features: int
) -> None:
    """Write a program's share [1, C] of sums over tokens, of each into [B, parts, F]."""
    for ref, values in zip(refs, sums, strict=True):
        at = ref.at[pl.program_id(0), pl.program_id(1), feature]
        triton.store(at, values, mask=feature < num_features)


class Standardised(NamedTuple):
    """Tokens less their mean, over their deviation.

    Attributes:
        values: [R, C], 0 outside.
        inverse: [R, 1] one over the deviation.
        num_features: F.
    """

    values: jax.Array
    inverse: jax.Array
    num_features: int

    @classmethod
    def of(
        cls, tokens: jax.Array, inside: jax.Array, num_features: int, epsilon: float
    ) -> "Standardised":
        """Standardise [R, C] of which F features are ``inside``."""
        mean = jnp.sum(tokens, axis=1, keepdims=True) / num_features
        centred = jnp.where(inside, tokens - mean, 0.0)
        variance = jnp.sum(centred * centred, axis=1, keepdims=True) / num_features
        inverse = jax.lax.rsqrt(variance + epsilon)
        return cls(centred * inverse, inverse, num_features)

    def pull(self, gradient: jax.Array) -> jax.Array:
        """Return the gradient for the tokens of one for ``values``, both [R, C]."""
        mean = jnp.sum(gradient, axis=1, keepdims=True) / self.num_features
        along = jnp.sum(gradient * self.values, axis=1, keepdims=True) / self.num_features
        return self.inverse * (gradient - mean - self.values * along)
