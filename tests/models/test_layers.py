"""Every dense layer is a ``Linear``, so that an interceptor reaches them all."""

import re
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

from physio_mae_jax.models import layers
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.heads import HEADS
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.models.window_batch import Windows
from tests.factories import (
    compiled_apply,
    compiled_init,
    random_batch,
    random_variables,
    tiny_model,
)

MODELS = Path(layers.__file__).parent
JOINT = {"encoder_attention": "joint", "decoder_attention": "joint"}


def reached_by_an_interceptor(module, windows, *args):
    """Return the paths of all kernels of rank 2 a layer, and of those of intercepted layers."""
    reached = set()

    def note(call, args, kwargs, context):
        if isinstance(context.module, layers.Linear) and context.method_name == "__call__":
            reached.add(context.module.path)
        return call(*args, **kwargs)

    params = jax.eval_shape(module.init, jax.random.key(0), windows, *args)["params"]
    with nn.intercept_methods(note):
        jax.eval_shape(lambda p: module.apply({"params": p}, windows, *args), params)
    kernels = set()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = tuple(key.key for key in path)
        rank = leaf.ndim - ("blocks" in names)
        if names[-1] == "kernel" and rank == 2 and "smoothing" not in names:
            kernels.add(names[:-1])
    return kernels, reached


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        # Two of the tokenizer; in a block two in each attention and two in the MLP.
        ({}, 2 + 6),
        ({"channel_attention": False, "waveform_branch": False}, 1 + 4),
        (JOINT, 2 + 4),
        ({"mlp_rank_ratio": 0.5, "attention_rank_ratio": 0.5}, 2 + 12),
    ],
)
def test_every_kernel_of_an_encoder_is_reached(changes, count):
    encoder = TransformerEncoder(tiny_model(**changes).config)
    kernels, reached = reached_by_an_interceptor(encoder, Windows.of(random_batch(1, 2)), None)
    assert kernels == reached
    assert len(kernels) == count


@pytest.mark.parametrize("kind", HEADS)
def test_every_kernel_of_a_classifier_is_reached(kind):
    model = Classifier(tiny_model(depth=1).config, HeadConfig(kind=kind, num_classes=3))
    kernels, reached = reached_by_an_interceptor(model, Windows.of(random_batch(1, 2)))
    assert kernels == reached


def test_what_an_interceptor_computes_is_what_the_model_uses():
    encoder, windows = TransformerEncoder(tiny_model().config), Windows.of(random_batch(1, 2))
    params = random_variables(encoder, windows, None)

    def nothing(call, args, kwargs, context):
        result = call(*args, **kwargs)
        is_linear = isinstance(context.module, layers.Linear)
        return result * 0 if is_linear and context.method_name == "__call__" else result

    plain = compiled_apply(encoder, params, windows, None)
    with nn.intercept_methods(nothing):
        changed = compiled_apply(encoder, params, windows, None)
    assert np.abs(plain - changed).max() > 0.1


def test_no_module_but_layers_has_dense_layers_of_its_own():
    others = re.compile(r"nn\.(Dense|DenseGeneral|Einsum|\w*DotProductAttention|SelfAttention)\b")
    for path in sorted(MODELS.rglob("*.py")):
        found = others.findall(path.read_text(encoding="utf-8"))
        assert not found or path.name == "layers.py", f"{path.name} uses nn.{found[0]}"


def test_a_linear_layer_is_the_dense_one():
    values = jax.random.normal(jax.random.key(0), (3, 5))
    ours, theirs = layers.Linear(4), nn.Dense(4)
    params = compiled_init(ours, 1, values)
    jax.tree.map(np.testing.assert_array_equal, params, compiled_init(theirs, 1, values))
    np.testing.assert_array_equal(ours.apply(params, values), theirs.apply(params, values))


def test_a_bias_that_is_added_later_has_the_same_parameters():
    values = jax.random.normal(jax.random.key(0), (3, 5))
    apart = layers.SeparateBias(4, values.dtype)
    whole = layers.make_linear(4, 0.0, values.dtype, "whole")
    params = compiled_init(whole, 1, values)
    assert jax.tree.map(np.shape, compiled_init(apart, 1, values)) == jax.tree.map(np.shape, params)
    product, bias = apart.apply(params, values)
    np.testing.assert_array_equal(product + bias, whole.apply(params, values))
