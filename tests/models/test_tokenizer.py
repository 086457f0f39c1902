"""The stem sees nothing behind the end of a signal; slices of a batch change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models import tokenizer
from physio_mae_jax.models.window_batch import Windows
from tests.factories import random_batch, random_params, tiny_model


def test_the_stem_sees_nothing_behind_the_end_of_a_signal():
    model = tiny_model(convolutional_stem="normalized")
    params = random_params(model)
    batch = random_batch(2, 2)
    valid = jnp.array([12, 12])
    other = batch | {"signal": batch["signal"].at[:, :, 240:].set(50.0)}

    @jax.jit
    def features(b):
        windows = Windows.of(b | {"num_valid_columns": valid})
        return model.apply({"params": params}, windows, method="features")

    np.testing.assert_allclose(features(batch), features(other), atol=1e-5)


def _encoded(model, params, batch, valid=None):
    """Return the features of windows, and the gradient of their sum."""

    @jax.jit
    def features(held, inputs):
        windows = Windows.of(inputs | ({} if valid is None else {"num_valid_columns": valid}))
        return model.apply({"params": held}, windows, method="features")

    gradient = jax.jit(jax.grad(lambda held, inputs: features(held, inputs).sum()))
    return features(params, batch), gradient(params, batch)["encoder"]["tokenizer"]


@pytest.mark.parametrize("valid", [None, jnp.array([20, 12, 7, 20, 9, 20, 3, 20])])
def test_the_size_of_a_slice_of_the_stem_changes_nothing(monkeypatch, valid):
    model = tiny_model(convolutional_stem="normalized", depth=1)
    params, batch = random_params(model), random_batch(8, 2)
    whole = _encoded(model, params, batch, valid)
    monkeypatch.setattr(tokenizer, "_SLICE_SIZE", 2 * 16 * 400 * 16)  # two examples
    in_slices = _encoded(model, params, batch, valid)
    for expected, found in zip(jax.tree.leaves(whole), jax.tree.leaves(in_slices), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_slice_of_the_stem_is_divided_over_devices(monkeypatch):
    monkeypatch.setattr(tokenizer, "_SLICE_SIZE", 16 * 400 * 16)  # one example on each device
    model = tiny_model(convolutional_stem="normalized", depth=1)
    params, batch = random_params(model), random_batch(16, 2)
    alone = _encoded(model, params, batch)
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh):
        divided = _encoded(model, params, batch)
        assert tokenizer._num_slices(batch["signal"][:, :1].repeat(16, axis=1), 16) == 2
    for expected, found in zip(jax.tree.leaves(alone), jax.tree.leaves(divided), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("batch", "size", "expected"),
    [(128, 2**22, 1), (128, 2**23, 2), (96, 2**26, 12), (7, 2**28, 7), (4, 2**30, 4)],
)
def test_the_slices_of_a_stem_are_equal_and_as_large_as_a_device_takes(batch, size, expected):
    plane = jax.ShapeDtypeStruct((batch, 2, size // 16), jnp.float32)
    counts = []
    jax.eval_shape(lambda p: counts.append(tokenizer._num_slices(p, 8)), plane)
    assert counts == [expected]
