"""Kernels of norms, GELU and rotary positions, run step by step, against plain formulas."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.kernels.gelu import gelu_of_biased
from physio_mae_jax.models.kernels.layer_norm import normalise_tokens
from physio_mae_jax.models.kernels.rotary import split_and_rotate
from physio_mae_jax.models.rotary import rotary_rotation, rotate
from physio_mae_jax.training.sharding import along_batch, make_mesh, on_mesh

_EPSILON = 1e-5


def norm_example(*shape):
    keys = jax.random.split(jax.random.key(0), 4)
    tokens, gradient = (3 * jax.random.normal(key, shape) + 1 for key in keys[:2])
    scale, bias = (jax.random.normal(key, shape[-1:]) for key in keys[2:])
    return (tokens, scale, bias), gradient


def kernel_norm(tokens, scale, bias):
    return normalise_tokens(tokens, scale, bias, _EPSILON, interpret=True)


def plain_norm(tokens, scale, bias):
    norm = nn.LayerNorm(epsilon=_EPSILON, use_fast_variance=False)
    return norm.apply({"params": {"scale": scale, "bias": bias}}, tokens)


# Tokens and features that fill the kernel's blocks, and some that do not.
@pytest.mark.parametrize("shape", [(2, 3, 64, 32), (1, 7, 24), (3, 70, 96), (2, 1, 1, 5, 8)])
def test_norm_equals_linens_and_so_do_its_gradients(shape):
    arguments, gradient = norm_example(*shape)
    ours, our_pull = jax.vjp(kernel_norm, *arguments)
    theirs, their_pull = jax.vjp(plain_norm, *arguments)
    np.testing.assert_allclose(ours, theirs, atol=3e-6)
    for our, their in zip(our_pull(gradient), their_pull(gradient), strict=True):
        np.testing.assert_allclose(our, their, rtol=2e-5, atol=5e-5)


def test_norm_of_bfloat16_is_computed_in_float32():
    (tokens, scale, bias), _ = norm_example(2, 40, 64)
    rounded = tokens.astype(jnp.bfloat16)
    ours = kernel_norm(rounded, scale, bias)
    exact = plain_norm(rounded.astype(jnp.float32), scale, bias)
    assert ours.dtype == jnp.bfloat16
    np.testing.assert_array_equal(ours, exact.astype(jnp.bfloat16))


def kernel_gelu(hidden, bias):
    return gelu_of_biased(hidden, bias, interpret=True)


@pytest.mark.parametrize("shape", [(2, 3, 64, 512), (1, 7, 24), (2, 130, 600)])
def test_gelu_equals_the_tanh_form_and_so_do_its_gradients(shape):
    (hidden, _, bias), gradient = norm_example(*shape)
    ours, our_pull = jax.vjp(kernel_gelu, hidden, bias)
    theirs, their_pull = jax.vjp(lambda h, b: nn.gelu(h + b, approximate=True), hidden, bias)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    for our, their in zip(our_pull(gradient), their_pull(gradient), strict=True):
        np.testing.assert_allclose(our, their, rtol=2e-5, atol=1e-4)


def rotary_example(sequences, tokens, heads, head_dim):
    keys = jax.random.split(jax.random.key(1), 4)
    qkv = jax.random.normal(keys[0], (sequences, tokens, 3, heads, head_dim))
    positions = jax.random.randint(keys[1], (sequences, tokens), 0, 100)
    gradients = jax.random.normal(keys[2], (3, sequences, tokens, heads, head_dim))
    return qkv, rotary_rotation(positions, head_dim), tuple(gradients)


def kernel_rotary(qkv, rotation):
    return split_and_rotate(qkv, rotation, interpret=True)


def plain_rotary(qkv, rotation):
    query, key, value = jnp.moveaxis(qkv, 2, 0)
    return rotate(query, rotation), rotate(key, rotation), value


@pytest.mark.parametrize("sizes", [(2, 25, 3, 16), (3, 64, 2, 64), (1, 1, 1, 24)])
def test_rotary_equals_plain_and_so_does_its_gradient(sizes):
    qkv, rotation, gradients = rotary_example(*sizes)
    ours, our_pull = jax.vjp(lambda values: kernel_rotary(values, rotation), qkv)
    theirs, their_pull = jax.vjp(lambda values: plain_rotary(values, rotation), qkv)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, atol=1e-6)
    np.testing.assert_allclose(our_pull(gradients)[0], their_pull(gradients)[0], atol=1e-6)


def test_each_device_works_on_its_own_examples():
    arguments, gradient = norm_example(8, 12, 16)
    qkv, rotation, gradients = rotary_example(8, 10, 2, 16)
    mesh = make_mesh()
    assert mesh.size > 1
    split = along_batch(mesh)

    def both(tokens, gradient, qkv, rotation, gradients):
        _, pull_norm = jax.vjp(kernel_norm, tokens, *arguments[1:])
        _, pull_gelu = jax.vjp(kernel_gelu, tokens, arguments[2])
        _, pull_rotary = jax.vjp(lambda values: kernel_rotary(values, rotation), qkv)
        return pull_norm(gradient), pull_gelu(gradient), pull_rotary(gradients)

    given = (arguments[0], gradient, qkv, rotation, gradients)
    compiled = jax.jit(on_mesh(both, mesh), in_shardings=split).lower(*given).compile()
    assert "all-gather" not in compiled.as_text()
    alone = both(*given)
    for ours, theirs in zip(jax.tree.leaves(compiled(*given)), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


# JAX 0.11 announces another compiler for such kernels.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kernels_lower_for_a_gpu_without_one():
    tokens = jax.ShapeDtypeStruct((2, 12, 50, 768), jnp.bfloat16)
    feature = jax.ShapeDtypeStruct((768,), jnp.float32)
    qkv = jax.ShapeDtypeStruct((24, 100, 3, 12, 64), jnp.bfloat16)
    positions = jax.ShapeDtypeStruct((24, 100), jnp.int32)

    def total(tokens, scale, bias, qkv, positions):
        normed = gelu_of_biased(normalise_tokens(tokens, scale, bias, _EPSILON), bias)
        parts = split_and_rotate(qkv, rotary_rotation(positions, 64))
        return sum(values.astype(jnp.float32).sum() for values in (normed, *parts))

    compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)))
    lowered = compiled.trace(tokens, feature, feature, qkv, positions).lower(
        lowering_platforms=("cuda",)
    )
    for name in ("layer_norm_gradient", "gelu_gradient", "split_and_rotate_gradient"):
        assert name in lowered.as_text()
