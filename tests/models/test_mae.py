"""Laws of the autoencoder: what may and what may not change its output."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.window_batch import Windows
from tests.factories import random_batch, random_mask, random_params, tiny_model

MODEL = tiny_model()


@pytest.fixture(scope="module")
def params() -> Any:
    return random_params(MODEL)


@functools.partial(jax.jit, static_argnames="model")
def encode(params: Any, batch: dict[str, Any], model: MaskedAutoencoder = MODEL, **kw: Any) -> Any:
    return model.apply({"params": params}, Windows.of(batch), method="encode", **kw)


@functools.partial(jax.jit, static_argnames="model")
def reconstruct(params: Any, batch: dict[str, Any], model: MaskedAutoencoder = MODEL) -> Any:
    mask = random_mask(len(batch["signal"]))
    return model.apply({"params": params}, Windows.of(batch), *mask[:2])


@pytest.mark.parametrize("attention", ["factorized", "joint"])
def test_an_absent_channel_changes_no_output(attention: str) -> None:
    model = tiny_model(decoder_attention=attention)
    params = random_params(model)
    batch = random_batch(2, 4)
    without = {name: values[:, jnp.array([0, 2])] for name, values in batch.items()}
    batch["channel_mask"] = batch["channel_mask"].at[:, jnp.array([1, 3])].set(False)
    batch["signal"] = batch["signal"].at[:, 1].set(1e6)
    for with_absent, alone in zip(
        reconstruct(params, batch, model)[:2], reconstruct(params, without, model)[:2], strict=True
    ):
        np.testing.assert_allclose(with_absent[:, jnp.array([0, 2])], alone, atol=2e-4)
    pooled = pool_tokens(encode(params, batch, model), batch["channel_mask"][:, :, None, None])
    expected = encode(params, without, model).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


@pytest.mark.parametrize("rank_ratio", [0.0, 0.5])
def test_a_lone_channel_among_absent_ones_equals_a_single_channel(rank_ratio: float) -> None:
    model = tiny_model(attention_rank_ratio=rank_ratio)
    params = random_params(model)
    batch = random_batch(2, 3)
    alone = {name: values[:, :1] for name, values in batch.items()}
    batch["channel_mask"] = batch["channel_mask"].at[:, 1:].set(False)
    np.testing.assert_allclose(
        encode(params, batch, model)[:, :1], encode(params, alone, model), atol=1e-5, rtol=1e-4
    )


def test_channel_identity_tells_channels_apart(params: Any) -> None:
    batch = random_batch(1, 2)
    renamed = batch | {"channel_ids": batch["channel_ids"] + 3}
    assert jnp.abs(encode(params, renamed) - encode(params, batch)).max() > 1e-3
    anonymous = tiny_model(channel_embedding=False)
    nameless = random_params(anonymous)
    np.testing.assert_array_equal(
        encode(nameless, renamed, anonymous), encode(nameless, batch, anonymous)
    )


def test_only_visible_columns_are_embedded(params: Any) -> None:
    """Latents of visible columns ignore what is put in hidden ones once it is bridged."""
    mask = random_mask(2)
    latents = encode(params, random_batch(2, 2), visible_ids=mask.visible_ids)
    assert latents.shape == (2, 2, 5, 4, 32)


def test_scan_equals_remat_and_bfloat16_comes_close(params: Any) -> None:
    batch = random_batch(2, 3)
    plain = reconstruct(params, batch)

    def loss(values: Any, remat: str, unroll_layers: bool) -> jax.Array:
        result = reconstruct(values, batch, tiny_model(remat=remat, unroll_layers=unroll_layers))
        return jnp.square(result.patches).mean() + jnp.square(result.waveform).mean()

    differentiate = jax.jit(jax.grad(loss), static_argnums=(1, 2))
    expected = differentiate(params, "none", False)
    for form in (("elementwise", False), ("full", False), ("none", True), ("elementwise", True)):
        gradient = differentiate(params, *form)
        for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(
                ours, theirs, atol=1e-4 * float(jnp.abs(theirs).max()) + 1e-7
            )
    low = reconstruct(params, batch, tiny_model(compute_dtype="bfloat16"))
    error = jnp.linalg.norm(low.patches - plain.patches) / jnp.linalg.norm(plain.patches)
    assert 0 < error < 3e-2
