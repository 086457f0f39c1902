"""A tile of tokens and features processed by a program."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental.pallas import triton

from physio_mae_jax.models.kernels.launch import Ref


class Tile(NamedTuple):
    """Indices of some features of some tokens in an array [B, N, F]."""

    example: jax.Array
    token: jax.Array  # [r, 1]
    feature: jax.Array  # [1, c]
    inside: jax.Array  # [r, c] bool

    @classmethod
    def of_rows(
        cls,
        example: jax.Array,
        first: jax.Array,
        num_rows: int,
        feature: jax.Array,
        limits: tuple[int, int],
    ) -> "Tile":
        """Return ``num_rows`` tokens from ``first`` on, within ``limits`` (N, F)."""
        token = first + jax.lax.broadcasted_iota(jnp.int32, (num_rows, 1), 0)
        inside = (token < limits[0]) & (feature < limits[1])
        return cls(example, token, feature, inside)

    def shifted(self, by: int, exists: jax.Array) -> "Tile":
        """Return the tile shifted by ``by`` tokens, valid where ``exists`` [r, 1]."""
        return self._replace(token=self.token + by, inside=self.inside & exists)

    def load(self, ref: Ref) -> jax.Array:
        """Read [r, c] as float32, 0 outside."""
        at = ref.at[self.example, self.token, self.feature]
        return triton.load(at, mask=self.inside, other=0.0).astype(jnp.float32)

    def store(self, ref: Ref, values: jax.Array) -> None:
        """Write [r, c], masked to the valid entries."""
        at = ref.at[self.example, self.token, self.feature]
        triton.store(at, values.astype(ref.dtype), mask=self.inside)


def load_parameter(ref: Ref, feature: jax.Array, num_features: int, *index: int) -> jax.Array:
    """Read a parameter [F], or that at ``index`` of [..., F], at features [1, c] as float32."""
    values = triton.load(ref.at[(*index, feature)], mask=feature < num_features, other=0.0)
    return values.astype(jnp.float32)
