"""Laws of the autoencoder: what may and what may not change its output."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.stack import scatter_tokens
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
    restored = scatter_tokens(position, mask.visible_ids, token, columns)
    for example in range(3):
        for column in range(columns):
            got = restored[example, :, column]
            if mask.masked_columns[example, column]:
                np.testing.assert_array_equal(got, jnp.broadcast_to(token, got.shape))
            else:
                assert (got[..., 0] == jnp.arange(channels)[:, None] + 1).all()
                assert (got[..., 1] == column + 1).all()
                assert (got[..., 2] == jnp.arange(rows) + 1).all()


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

    ours, our_pull = jax.vjp(lambda v, f: scatter_tokens(v, ids, f, 5), visible, filler)
    theirs, their_pull = jax.vjp(by_product, visible, filler)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for our, their in zip(our_pull(gradient), their_pull(gradient), strict=True):
        np.testing.assert_allclose(our, their, atol=1e-5)


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_samples": 410}, "whole number of columns"),
        ({"patch_scales": 5}, "not a multiple of model.patch_scales=5"),
        ({"num_heads": 5}, "model.width=32 is not divisible by model.num_heads=5"),
        ({"decoder_num_heads": 16}, "heads of an even size"),
        ({"remat": "some"}, "choose one of none, elementwise, full"),
        ({"attention_implementation": "cudnn"}, r"requires model\.compute_dtype=.bfloat16"),
        (
            {"attention_implementation": "cudnn", "compute_dtype": "bfloat16", "num_heads": 8},
            "multiple of 8",
        ),
    ],
)
def test_impossible_shapes_are_rejected_with_the_way_out(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_model(**changes)
