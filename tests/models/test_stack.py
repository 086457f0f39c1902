"""Tokens are placed where they belong, and so are their gradients."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.stack import scatter_tokens
from tests.factories import random_mask


@pytest.mark.parametrize("channels", [1, 2, 5, 12])
def test_unshuffle_puts_every_token_of_every_channel_in_its_place(channels: int) -> None:
    """A token's own column and channel are written into it and read back."""
    rows, columns, mask = 4, 20, random_mask(3)
    position = jnp.stack(
        jnp.broadcast_arrays(
            jnp.arange(channels)[None, :, None, None] + 1.0,
            mask.visible_ids[:, None, :, None] + 1.0,
            jnp.arange(rows)[None, None, None, :] + 1.0,
        ),
        axis=-1,
    )
    token = jnp.array([-1.0, -2.0, -3.0])
    restored = np.asarray(scatter_tokens(position, mask.visible_ids, token, columns))
    masked = np.asarray(mask.masked_columns)
    for example in range(3):
        for column in range(columns):
            got = restored[example, :, column]
            if masked[example, column]:
                np.testing.assert_array_equal(got, np.broadcast_to(token, got.shape))
            else:
                assert (got[..., 0] == np.arange(channels)[:, None] + 1).all()
                assert (got[..., 1] == column + 1).all()
                assert (got[..., 2] == np.arange(rows) + 1).all()


def test_gradient_of_placing_is_that_of_a_product_with_the_places() -> None:
    ids = jnp.array([[3, 0], [1, 4]])
    keys = jax.random.split(jax.random.key(0), 3)
    visible = jax.random.normal(keys[0], (2, 3, 2, 2, 4))
    filler = jax.random.normal(keys[1], (4,))
    gradient = jax.random.normal(keys[2], (2, 3, 5, 2, 4))

    def by_product(visible: jax.Array, filler: jax.Array) -> jax.Array:
        positions = jax.nn.one_hot(ids, 5)
        placed = jnp.einsum("bkn,bmkrd->bmnrd", positions, visible, precision="highest")
        empty = 1 - positions.sum(axis=1)
        return placed + empty[:, None, :, None, None] * filler

    @functools.partial(jax.jit, static_argnums=0)
    def both(function: Any, *arguments: jax.Array) -> Any:
        placed, pull = jax.vjp(function, *arguments)
        return placed, pull(gradient)

    ours, our_gradients = both(lambda v, f: scatter_tokens(v, ids, f, 5), visible, filler)
    theirs, their_gradients = both(by_product, visible, filler)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for our, their in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(our, their, atol=1e-5)
