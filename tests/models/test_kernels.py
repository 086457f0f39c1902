"""Kernels of norms, GELU and rotary positions, run step by step, against plain formulas."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.kernels.gelu import gelu_and_product
from physio_mae_jax.models.kernels.layer_norm import add_and_normalize, normalize
from physio_mae_jax.models.kernels.rotary import project_and_rotate
from physio_mae_jax.models.kernels.smoothing import smooth_and_normalize
from physio_mae_jax.models.residual import DepthwiseKernel
from physio_mae_jax.models.rotary import rotary_rotation, rotate
from physio_mae_jax.training.sharding import batch_sharding, make_mesh, with_mesh

_EPSILON = 1e-5


def draw(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(3 * rng.normal(size=shape) + 1, jnp.float32) for shape in shapes]


def norm_example(*shape):
    *arguments, of_passed, of_normed = draw(shape, shape[-1:], shape[-1:], shape, shape)
    return tuple(arguments), (of_passed, of_normed)


def kernel_norm(tokens, scale, bias):
    return normalize(tokens, scale, bias, _EPSILON, interpret=True)


def plain_norm(tokens, scale, bias):
    norm = nn.LayerNorm(epsilon=_EPSILON, use_fast_variance=False)
    return tokens, norm.apply({"params": {"scale": scale, "bias": bias}}, tokens)


def values_and_gradients(function, arguments, gradients):
    """Compute both in one program: each operation alone takes long to compile."""

    @jax.jit
    def both(arguments, gradients):
        values, pull = jax.vjp(function, *arguments)
        return values, pull(gradients)

    return jax.device_get(both(arguments, gradients))


def assert_same_and_so_are_gradients(ours, theirs, arguments, gradients):
    our, our_gradients = values_and_gradients(ours, arguments, gradients)
    their, their_gradients = values_and_gradients(theirs, arguments, gradients)
    for one, other in zip(our, their, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * np.abs(other).max())
    for one, other in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-5 * np.abs(other).max())


# Tokens and features that fill the kernel's blocks, and some that do not.
SHAPES = [(2, 3, 64, 32), (1, 7, 24), (3, 70, 96), (2, 1, 1, 5, 8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_norm_equals_linens_and_so_do_its_gradients(shape):
    assert_same_and_so_are_gradients(kernel_norm, plain_norm, *norm_example(*shape))


def sum_example(*shape):
    (tokens, scale, bias), gradients = norm_example(*shape)
    branch, branch_bias = draw(shape[::-1], shape[-1:])
    return (tokens, branch.reshape(shape), branch_bias, scale, bias), gradients


@pytest.mark.parametrize("shape", SHAPES)
def test_sum_and_norm_equal_plain_ones_and_so_do_their_gradients(shape):
    share = (jnp.arange(shape[0]) != 1).astype(jnp.float32)
    arguments, gradients = sum_example(*shape)

    def ours(tokens, branch, branch_bias, scale, bias):
        given = (tokens, branch, branch_bias, share, scale, bias)
        return add_and_normalize(*given, _EPSILON, interpret=True)

    def theirs(tokens, branch, branch_bias, scale, bias):
        shares = share.reshape(-1, *[1] * (tokens.ndim - 1))
        return plain_norm(tokens + branch + shares * branch_bias, scale, bias)

    assert_same_and_so_are_gradients(ours, theirs, arguments, gradients)


@pytest.mark.parametrize("shape", [(2, 3, 16, 4, 32), (1, 2, 5, 3, 24), (2, 1, 1, 2, 8)])
def test_smoothing_and_norm_equal_plain_ones_and_so_do_their_gradients(shape):
    (tokens, scale, bias), gradients = norm_example(*shape)
    taps, taps_bias = draw((3, shape[-1]), shape[-1:])

    def ours(*arguments):
        return smooth_and_normalize(*arguments, _EPSILON, interpret=True)

    def theirs(tokens, taps, taps_bias, scale, bias):
        smoothed = DepthwiseKernel(taps, taps_bias).applied_to(tokens)
        return tokens, plain_norm(smoothed, scale, bias)[1]

    arguments = (tokens, taps, taps_bias, scale, bias)
    assert_same_and_so_are_gradients(ours, theirs, arguments, gradients)


def test_norm_of_bfloat16_is_computed_in_float32():
    (tokens, scale, bias), _ = norm_example(2, 40, 64)
    rounded = tokens.astype(jnp.bfloat16)
    _, ours = kernel_norm(rounded, scale, bias)
    _, exact = plain_norm(rounded.astype(jnp.float32), scale, bias)
    assert ours.dtype == jnp.bfloat16
    np.testing.assert_array_equal(ours, exact.astype(jnp.bfloat16))


def kernel_mlp(hidden, bias, kernel):
    return gelu_and_product(hidden, bias, kernel, interpret=True)


@pytest.mark.parametrize("shape", [(2, 3, 64, 512), (1, 7, 24), (2, 130, 600)])
def test_gelu_and_product_equal_the_plain_ones_and_so_do_their_gradients(shape):
    hidden, bias, kernel, gradient = draw(shape, shape[-1:], (shape[-1], 16), (*shape[:-1], 16))

    def ours(*arguments):
        return (kernel_mlp(*arguments),)

    def theirs(hidden, bias, kernel):
        return (nn.gelu(hidden + bias, approximate=True) @ kernel,)

    assert_same_and_so_are_gradients(ours, theirs, (hidden, bias, kernel), (gradient,))


def rotary_example(sequences, tokens, heads, head_dim):
    width = heads * head_dim
    rng = np.random.default_rng(1)
    shapes = ((sequences, tokens, 20), (20, 3 * width), *[(sequences, tokens, heads, head_dim)] * 3)
    values, kernel, *gradients = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes)
    positions = jnp.asarray(rng.integers(0, 100, (sequences, tokens)))
    rotation = jax.jit(rotary_rotation, static_argnums=1)(positions, head_dim)
    return values, kernel / 20**0.5, rotation, tuple(gradients)


def kernel_rotary(tokens, kernel, rotation, heads):
    return project_and_rotate(tokens, kernel, rotation, heads, interpret=True)


def plain_rotary(tokens, kernel, rotation, heads):
    qkv = (tokens @ kernel).reshape(*tokens.shape[:-1], 3, heads, -1)
    query, key, value = jnp.moveaxis(qkv, 2, 0)
    return rotate(query, rotation), rotate(key, rotation), value


@pytest.mark.parametrize("sizes", [(2, 25, 3, 16), (3, 64, 2, 64), (1, 1, 1, 24)])
def test_projection_and_rotation_equal_the_plain_ones_and_so_do_their_gradients(sizes):
    tokens, kernel, rotation, gradients = rotary_example(*sizes)
    assert_same_and_so_are_gradients(
        lambda *given: kernel_rotary(*given, rotation, sizes[2]),
        lambda *given: plain_rotary(*given, rotation, sizes[2]),
        (tokens, kernel),
        gradients,
    )


def test_each_device_works_on_its_own_examples():
    arguments, (gradient, _) = norm_example(8, 12, 16)
    taps = jnp.ones((3, 16))
    values, kernel, rotation, gradients = rotary_example(8, 10, 2, 16)
    mesh = make_mesh()
    assert mesh.size > 1
    split = batch_sharding(mesh)

    def added(tokens, branch_bias):
        share = jnp.ones(len(tokens))
        norm = (*arguments[1:], _EPSILON)
        return add_and_normalize(tokens, tokens, branch_bias, share, *norm, interpret=True)

    def smoothed(tokens, taps):
        norm = (*arguments[1:], _EPSILON)
        return smooth_and_normalize(tokens, taps, arguments[1], *norm, interpret=True)

    def all_of_them(tokens, gradient, values, rotation, gradients):
        _, pull_norm = jax.vjp(kernel_norm, tokens, *arguments[1:])
        _, pull_sum = jax.vjp(added, tokens, arguments[1])
        _, pull_smoothing = jax.vjp(smoothed, tokens[:, None, :, None], taps)
        _, pull_gelu = jax.vjp(kernel_mlp, tokens, arguments[2], jnp.eye(16))
        _, pull_rotary = jax.vjp(lambda *given: kernel_rotary(*given, rotation, 2), values, kernel)
        uses = (gradient, gradient)
        smoothing_uses = tuple(values[:, None, :, None] for values in uses)
        return (
            pull_norm(uses),
            pull_sum(uses),
            pull_smoothing(smoothing_uses),
            pull_gelu(gradient),
            pull_rotary(gradients),
        )

    given = (arguments[0], gradient, values, rotation, gradients)
    compiled = jax.jit(with_mesh(all_of_them, mesh), in_shardings=split).lower(*given).compile()
    assert "all-gather" not in compiled.as_text()
    alone = jax.jit(all_of_them)(*given)
    for ours, theirs in zip(jax.tree.leaves(compiled(*given)), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


# JAX 0.11 announces another compiler for such kernels.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kernels_lower_for_a_gpu_without_one():
    tokens = jax.ShapeDtypeStruct((2, 12, 50, 4, 768), jnp.bfloat16)
    feature = jax.ShapeDtypeStruct((768,), jnp.float32)
    taps = jax.ShapeDtypeStruct((3, 768), jnp.float32)
    sequences = jax.ShapeDtypeStruct((24, 100, 768), jnp.bfloat16)
    positions = jax.ShapeDtypeStruct((24, 100), jnp.int32)

    def total(tokens, scale, bias, taps, sequences, positions):
        norm = (scale, bias, _EPSILON)
        tokens, normed = normalize(tokens, *norm)
        share = jnp.ones(len(tokens), jnp.float32)
        tokens, normed = add_and_normalize(tokens, normed, bias, share, *norm)
        tokens, smoothed = smooth_and_normalize(tokens, taps, bias, *norm)
        hidden = gelu_and_product(normed, bias, jnp.ones((768, 64), jnp.bfloat16))
        kernel = jnp.ones((768, 3 * 768), jnp.bfloat16)
        parts = project_and_rotate(sequences, kernel, rotary_rotation(positions, 64), 12)
        return sum(
            values.astype(jnp.float32).sum() for values in (tokens, smoothed, hidden, *parts)
        )

    compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3, 4)))
    lowered = compiled.trace(tokens, feature, feature, taps, sequences, positions).lower(
        lowering_platforms=("cuda",)
    )
    for name in (
        "add_and_layer_norm",
        "layer_norm_gradient",
        "smooth_and_norm_gradient",
        "smoothing_gradient",
        "gelu_gradient",
        "split_and_rotate_gradient",
    ):
        assert name in lowered.as_text()
