"""Tokens are placed where they belong, and so are their gradients."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.stack import scatter_tokens
from physio_mae_jax.models.window_batch import Windows
from tests.factories import compiled_apply, compiled_init, random_batch, random_mask, tiny_model


def test_drop_path_drops_whole_branches_of_examples_and_only_with_a_key() -> None:
    model = tiny_model(drop_path_rate=0.5, depth=1)
    windows = Windows.of(random_batch(16, 2))
    encoder = TransformerEncoder(model.config)
    params = compiled_init(encoder, 0, windows, None)
    plain = TransformerEncoder(tiny_model(depth=1).config)
    still = compiled_apply(encoder, params, windows, None)
    np.testing.assert_array_equal(still, compiled_apply(plain, params, windows, None))
    apply = jax.jit(lambda key: encoder.apply(params, windows, None, rngs={"drop_path": key}))
    draws = np.stack([apply(jax.random.key(seed)) for seed in range(4)])
    assert np.abs(draws[0] - draws[1]).max() > 0.01
    # Of one example there are eight results at most: each of three branches is kept or dropped.
    same = windows._replace(signal=jnp.broadcast_to(windows.signal[:1], windows.signal.shape))
    again = jax.jit(lambda key: encoder.apply(params, same, None, rngs={"drop_path": key}))
    results = np.concatenate([again(jax.random.key(seed)) for seed in range(4)])
    assert 2 <= len({result.tobytes() for result in results.round(4) + 0.0}) <= 8


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
