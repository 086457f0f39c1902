"""Rotary positions keep lengths, and products depend on distances alone."""

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.models.rotary import rotary_rotation, rotate

HEADS = jax.random.normal(jax.random.key(0), (1, 2, 3, 8))


def rotated(positions):
    return rotate(HEADS, rotary_rotation(jnp.array([positions]), 8))


def test_position_0_is_left_as_it_is_and_lengths_are_kept():
    np.testing.assert_array_equal(rotated([0, 0]), HEADS)
    lengths = jnp.linalg.norm(rotated([3, 50]), axis=-1)
    np.testing.assert_allclose(lengths, jnp.linalg.norm(HEADS, axis=-1), rtol=1e-5)


def test_products_depend_on_the_distance_alone():
    near, far = rotated([1, 5]), rotated([31, 35])
    ours, theirs = ((x[:, 0] * x[:, 1]).sum(axis=-1) for x in (near, far))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_type_of_the_heads_is_kept():
    low = rotate(HEADS.astype(jnp.bfloat16), rotary_rotation(jnp.array([[1, 2]]), 8))
    assert low.dtype == jnp.bfloat16
