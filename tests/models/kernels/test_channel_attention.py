"""The kernel of attention across channels, its steps run one by one, against a plain attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.kernels.channel_attention import attend_across_channels
from physio_mae_jax.training.sharding import batch_sharding, make_mesh, with_mesh

SIZES = [(2, 12, 10, 2, 32), (1, 3, 5, 2, 24), (2, 2, 70, 1, 16), (1, 33, 3, 1, 8)]


def plain(qkv, mask):
    query, key, value = jnp.moveaxis(qkv, 3, 0)
    logits = jnp.einsum("bmthd,bnthd->bthmn", query, key) * query.shape[-1] ** -0.5
    logits = jnp.where(mask[:, None, None, None, :], logits, -jnp.inf)
    exchanges = mask.sum(axis=1) > 1
    weights = jax.nn.softmax(logits) * exchanges[:, None, None, None, None]
    return jnp.einsum("bthmn,bnthd->bmthd", weights, value)


def example(batch, channels, positions, heads, head_dim):
    rng, mask = np.random.default_rng(0), np.ones((batch, channels), bool)
    mask[0, 1] = False
    shapes = ((3, heads, head_dim), (heads, head_dim))
    qkv, gradient = (rng.normal(size=(batch, channels, positions, *shape)) for shape in shapes)
    return jnp.asarray(qkv, jnp.float32), jnp.asarray(mask), jnp.asarray(gradient, jnp.float32)


@jax.jit
def kernel(qkv, mask):
    return attend_across_channels(qkv, mask, interpret=True)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradient(attend, qkv, mask, gradient):
    """Compute both in one program: each operation alone takes long to compile."""
    value, pull = jax.vjp(lambda values: attend(values, mask), qkv)
    return value, pull(gradient)[0]


@pytest.mark.parametrize("sizes", SIZES)
def test_kernel_equals_plain_attention_and_its_gradient(sizes):
    qkv, mask, gradient = example(*sizes)
    ours, our_gradient = value_and_gradient(kernel, qkv, mask, gradient)
    theirs, their_gradient = value_and_gradient(plain, qkv, mask, gradient)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    np.testing.assert_allclose(our_gradient, their_gradient, atol=4e-6)


def test_what_an_absent_channel_holds_reaches_no_other():
    qkv, mask, _ = example(2, 12, 10, 2, 32)
    others = np.arange(12) != 1
    changed = kernel(qkv.at[0, 1].set(1e4), mask)
    np.testing.assert_array_equal(changed[0][others], kernel(qkv, mask)[0][others])


@pytest.mark.parametrize("num_present", [0, 1])
def test_who_is_alone_receives_nothing(num_present):
    qkv, _, gradient = example(1, 3, 5, 2, 24)
    mask = jnp.arange(3)[None] < num_present
    mixed, pulled = value_and_gradient(kernel, qkv, mask, gradient)
    assert not np.any(mixed)
    assert not np.any(pulled)


def test_each_device_attends_within_its_own_examples():
    qkv, _, _ = example(8, 3, 5, 2, 16)
    mask = jnp.ones((8, 3), bool)
    mesh = make_mesh()
    assert mesh.size > 1
    split = batch_sharding(mesh)
    compiled = jax.jit(with_mesh(kernel, mesh), in_shardings=split, out_shardings=split)
    np.testing.assert_allclose(compiled(qkv, mask), kernel(qkv, mask), atol=1e-6)


def test_kernel_lowers_for_a_gpu_without_one():
    qkv = jax.ShapeDtypeStruct((2, 12, 100, 3, 8, 64), jnp.bfloat16)
    mask = jax.ShapeDtypeStruct((2, 12), bool)

    def total(qkv, mask):
        return attend_across_channels(qkv, mask).astype(jnp.float32).sum()

    lowered = jax.jit(jax.grad(total)).trace(qkv, mask).lower(lowering_platforms=("cuda",))
    assert "attention_across_channels_gradient" in lowered.as_text()
