"""Layers by kernels equal plain ones, with all their masks; the kernels run step by step here."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models import layers
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.kernels import launch
from physio_mae_jax.models.mixers import attention
from physio_mae_jax.models.stack import Stack
from tests.factories import tiny_model
from tests.models.test_attention_fused import outcome as whole_outcome
from tests.models.test_attention_fused import relative


@pytest.fixture(autouse=True)
def _kernels_on_a_cpu(monkeypatch):
    call = launch.pl.pallas_call
    monkeypatch.setattr(
        launch.pl, "pallas_call", lambda *args, **kw: call(*args, **(kw | {"interpret": True}))
    )
    monkeypatch.setattr(attention, "attend_by_cudnn", attention.attend_by_xla)
    # In float32 plain layers use the other form of the GELU.
    monkeypatch.setattr(layers, "gelu", functools.partial(nn.gelu, approximate=True))
    # A GPU would multiply float32 matrices in 19 bits.
    with jax.default_matmul_precision("highest"):
        yield


FUSED = tiny_model(attention_implementation="fused", compute_dtype="bfloat16").config


def draw(shape, seed=0):
    return jnp.asarray(2 * np.random.default_rng(seed).normal(size=shape) + 0.5, jnp.float32)


def example(implementation, padded, dtype="float32", **settings):
    """Return a function from the arguments of one random stack to a sum, and the mixed tokens."""
    settings = BlockConfig(2, jnp.dtype(dtype), attention_implementation=implementation, **settings)
    stack = Stack(settings, depth=2, remat="elementwise")
    tokens = draw((3, 3, 5, 2, 24)).astype(dtype)
    positions = jnp.broadcast_to(jnp.arange(5)[:, None], (3, 5, 2))
    channels = jnp.array([[1, 1, 1], [1, 0, 1], [1, 0, 0]], bool)
    valid = jnp.broadcast_to(jnp.arange(5)[:, None] < 3, (3, 5, 2)) if padded else None
    asked = channels[:, :, None, None, None] * draw(tokens.shape, 1)
    if padded:
        asked = asked * valid[:, None, :, :, None]
    given = (positions, channels, valid)
    shapes = jax.eval_shape(stack.init, jax.random.key(0), tokens, *given)
    leaves, tree = jax.tree.flatten(shapes)
    params = tree.unflatten([0.2 * draw(leaf.shape, 2 + i) for i, leaf in enumerate(leaves)])

    def total(params, tokens):
        mixed = stack.apply(params, tokens, *given).astype(jnp.float32) * asked
        return mixed.sum(), mixed

    return total, (params, tokens)


def outcome(*given, **settings):
    """Return tokens after two layers, and the gradients of a sum of them."""
    total, arguments = example(*given, **settings)
    (_, mixed), gradients = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(*arguments)
    return mixed, gradients


def mixed_tokens(*given):
    total, arguments = example(*given)
    return jax.jit(total)(*arguments)[1]


@pytest.mark.parametrize(
    ("padded", "settings"),
    [
        (False, {}),
        (True, {"num_time_blocks": 5}),
        (False, {"channel_smoothing": False, "attention_rank_ratio": 0.5}),
    ],
)
def test_fused_layers_equal_plain_ones_and_so_do_their_gradients(padded, settings):
    plain = outcome("xla", padded, **settings)
    fused = outcome("fused", padded, **settings)
    assert jax.tree.structure(plain) == jax.tree.structure(fused)
    for ours, theirs in zip(jax.tree.leaves(fused), jax.tree.leaves(plain), strict=True):
        largest = float(jnp.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5 * largest)


def test_fused_layers_in_bfloat16_are_as_near_float32_as_plain_ones():
    exact = mixed_tokens("xla", False)
    errors = {
        implementation: jnp.linalg.norm(mixed_tokens(implementation, False, "bfloat16") - exact)
        for implementation in ("xla", "fused")
    }
    assert 0 < errors["fused"] < 1.1 * errors["xla"]


def test_a_whole_fused_model_is_as_near_float32_as_a_plain_one():
    """Wavelets by products and all; tests.models.test_attention_fused does it on a GPU."""
    exact = whole_outcome("v3", 2, "xla", "float32", depth=1)
    plain = whole_outcome("v3", 2, "xla", "bfloat16", depth=1)
    fused = whole_outcome("v3", 2, "fused", "bfloat16", depth=1)
    for ours, theirs, reference in zip(fused, plain, exact, strict=True):
        assert relative(ours, reference) < 1.3 * relative(theirs, reference)
        assert relative(ours, theirs) > 0


def test_what_the_compiler_is_told_it_knows():
    """A flag that XLA no longer has would be an error on a GPU only, when a run begins."""
    reported = FUSED.compiler_options
    assert reported
    assert float(jax.jit(lambda x: 2 * x, compiler_options=reported)(1.0)) == 2.0


def test_where_there_is_no_gpu_a_fused_model_is_a_plain_one():
    elsewhere = FUSED.for_platform("cpu")
    assert elsewhere == dataclasses.replace(FUSED, attention_implementation="xla")
    assert (FUSED.wavelet_method, elsewhere.wavelet_method) == ("products", "fft")
    assert elsewhere.compiler_options == {}
    assert FUSED.for_platform("gpu") is FUSED
