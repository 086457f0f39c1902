"""Weights rounded to half precision."""

import jax
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.model_card import Card
from physio_mae_jax.inference.precision import MIN_COSINE, compare_embeddings, round_weights
from physio_mae_jax.inference.saved_model import load_model, save_model
from physio_mae_jax.inference.trained_model import load_checkpoint
from tests.encoders import untrained, write_contrastive_run


@pytest.fixture(scope="module")
def model():
    return untrained()


def scaled(model, factor):
    """Multiply every array of the encoder by ``factor`` of it."""
    encoder = jax.tree.map(lambda a: np.float32(a * factor(a)), model.params["encoder"])
    return model._replace(params={**model.params, "encoder": encoder})


def with_noise(model, level):
    rng = np.random.default_rng(0)
    noisy = jax.tree.map(
        lambda a: np.asarray(a) * (1 + level * rng.normal(size=a.shape)), model.params
    )
    return model._replace(params=jax.tree.map(np.float32, noisy))


def test_rounding_costs_next_to_nothing_and_noise_much(model):
    assert compare_embeddings(model, model) == pytest.approx(1)
    assert compare_embeddings(model, round_weights(model, "float16")) > 0.9999
    assert compare_embeddings(model, with_noise(model, 0.3)) < MIN_COSINE


def test_what_is_loaded_is_the_rounded_model_in_half_the_bytes(model, tmp_path):
    for dtype in ("float32", "float16"):
        save_model(model, tmp_path / dtype, Card(), dtype=dtype)
        loaded = load_model(tmp_path / dtype)
        wanted = round_weights(model, dtype)
        jax.tree.map(np.testing.assert_array_equal, loaded.params, wanted.params)
        assert {leaf.dtype for leaf in jax.tree.leaves(loaded.params)} == {np.dtype(np.float32)}
    sizes = [(tmp_path / d / "model.safetensors").stat().st_size for d in ("float32", "float16")]
    assert sizes[1] < 0.6 * sizes[0]


def test_weights_that_lose_too_much_are_rejected_with_the_figure(model, tmp_path):
    faint, wanted = scaled(model, lambda _: 1e-8), r"cosine of -?0\.\d+ to .*; at least 0\.999"
    with pytest.raises(DataError, match=wanted):
        save_model(faint, tmp_path / "faint", Card(), dtype="float16")
    assert not (tmp_path / "faint").exists()
    huge = scaled(model, lambda _: 1e6)
    with pytest.raises(DataError, match="cosine of nan"):
        round_weights(huge, "float16")


def test_an_unknown_type_is_rejected(model, tmp_path):
    with pytest.raises(ConfigError, match=r"dtype is 'int8'; choose 'float32' or 'float16'"):
        save_model(model, tmp_path, Card(), dtype="int8")


def test_channels_encoded_alone_are_compared_too(tmp_path):
    contrastive = load_checkpoint(write_contrastive_run(tmp_path / "run"))
    assert compare_embeddings(contrastive, round_weights(contrastive, "float16")) > MIN_COSINE
