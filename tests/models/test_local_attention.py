"""Attention within blocks of time equals attention under a mask, and costs as much as it says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.attention import ATTENTION
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.local_attention import LocalAttention
from physio_mae_jax.models.mixers.attention import Attention
from physio_mae_jax.models.mixers.base import Geometry
from physio_mae_jax.models.rotary import rotary_rotation
from physio_mae_jax.models.stack import Stack
from physio_mae_jax.models.window_batch import Windows
from tests.factories import compiled_apply, compiled_init, random_batch, random_params, tiny_model

# Positions, tokens of each, blocks: dividing, not dividing, of single positions.
CUTS = [(12, 2, 4), (13, 2, 5), (7, 1, 7), (10, 3, 4)]


def meets(near):
    """Return who attends to whom, [T, T] bool, from what is said of blocks."""
    block = np.arange(near.length) // near.size
    last = near.num_blocks - 1
    middle = np.clip(block, 1, last - 1)[:, None]  # at an end the nearest three
    return abs(block[None] - middle) <= 1


def attend(query, key, value, mask):
    return jax.nn.dot_product_attention(query, key, value, mask=mask)


def near_attention(near, query, key, value, mask):
    keys = near.key_mask(mask, len(query))
    keys = None if keys is None else keys[:, None, None]
    return near.merge_blocks(attend(near.queries(query), near.keys(key), near.keys(value), keys))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cut", CUTS)
def test_blocks_attend_as_under_a_mask_and_so_do_gradients(cut, masked):
    near = LocalAttention.of(*cut)
    assert not near.is_integer
    parts = jax.random.normal(jax.random.key(0), (4, 2, near.length, 2, 8))
    mask = jnp.arange(near.length)[None] < jnp.array([[near.length], [near.length - 2]])
    dense = meets(near)[None, None] & (mask[:, None, None] if masked else True)
    near_by = lambda *qkv: near_attention(near, *qkv, mask if masked else None)  # noqa: E731
    # Of a query that is padding itself nobody asks.
    asked = np.broadcast_to(mask[:, :, None, None] if masked else True, parts[3].shape)

    @functools.partial(jax.jit, static_argnums=0)
    def both(function, *parts):
        values, pull = jax.vjp(function, *parts[:3])
        return values, pull(jnp.where(asked, parts[3], 0))

    ours, our_gradients = both(near_by, *parts)
    theirs, their_gradients = both(lambda *qkv: attend(*qkv, dense), *parts)
    np.testing.assert_allclose(np.where(asked, ours - theirs, 0), 0, atol=2e-6)
    for one, other in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6)


def test_of_three_blocks_or_fewer_everybody_attends_to_everybody():
    for blocks in (1, 2, 3):
        near = LocalAttention.of(12, 2, blocks)
        assert near.is_integer
        assert near.num_pairs == 24**2
    # Of few positions that are present, as in training, none is left alone.
    assert LocalAttention.of(2, 4, 30).is_integer


def test_a_masked_sequence_is_cut_into_blocks_of_the_same_time():
    whole, visible = LocalAttention.of(100, 8, 10), LocalAttention.of(25, 8, 10)
    assert (whole.size, visible.size) == (10 * 8, 3 * 8)
    assert visible.num_blocks == 9


def test_pairs_grow_with_the_length():
    pairs = [LocalAttention.of(30 * n, 8, n).num_pairs for n in (8, 16, 32)]
    assert pairs[1] / pairs[0] == pairs[2] / pairs[1] == 2


def test_what_is_far_away_is_not_attended_to():
    settings = BlockConfig(2, jnp.dtype("float32"), num_time_blocks=8, channel_smoothing=False)
    stack = Stack(settings, depth=1, remat="none")
    tokens, other = jax.random.normal(jax.random.key(0), (2, 1, 2, 16, 2, 16))
    given = (jnp.broadcast_to(jnp.arange(16)[:, None], (1, 16, 2)), jnp.ones((1, 2), bool))
    params = compiled_init(stack, 1, tokens, *given)
    mix = jax.jit(functools.partial(stack.apply, params))
    changed = mix(tokens.at[:, :, 6].set(other[:, :, 6]), *given) - mix(tokens, *given)
    moved = np.abs(changed).max(axis=(0, 1, 3, 4)) > 0
    np.testing.assert_array_equal(np.flatnonzero(moved), np.arange(4, 10))


@pytest.mark.parametrize("blocks", [1, 5])
def test_what_all_receive_is_what_all_give(blocks):
    layer = Attention(BlockConfig(2, jnp.dtype("float32"), num_time_blocks=blocks))
    tokens = jax.random.normal(jax.random.key(0), (2, 1, 13, 1, 16))
    times = jnp.broadcast_to(jnp.arange(13), (2, 13))
    mask = times < jnp.array([[13], [9]])
    given = (tokens, Geometry(times[..., None], rotary_rotation(times, 8), mask[..., None]))
    params = compiled_init(layer, 1, *given)
    _, kept = compiled_apply(layer, params, *given, mutable=ATTENTION)
    (received,) = kept[ATTENTION]["received"]
    assert received.shape == (2, 1, 13, 1)
    np.testing.assert_allclose(received.sum(axis=(1, 2, 3)), 1, atol=1e-5)
    assert not received[1, 0, 9:].any()


def test_a_model_of_blocks_reads_what_lies_behind_the_end_of_no_signal():
    model = tiny_model(num_samples=800, attention_block_seconds=1.0)
    assert model.config.num_time_blocks == 8
    params = random_params(model)
    batch = random_batch(2, 2, 800)
    valid = jnp.array([16, 40])
    other = batch | {"signal": batch["signal"].at[0, :, 320:].set(50.0)}
    features = jax.jit(
        lambda b: model.apply(
            {"params": params}, Windows.of(b | {"num_valid_columns": valid}), method="features"
        )
    )
    assert np.isfinite(features(batch)).all()
    np.testing.assert_allclose(features(batch), features(other), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_block_seconds": 0.1}, r"=0\.1 is shorter than a column of 0\.2 s; lengthen"),
        ({"decoder_attention": "joint"}, r"set model\.encoder_attention and .* 'factorized', or"),
    ],
)
def test_blocks_that_cannot_be_are_rejected(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_model(**{"attention_block_seconds": 1.0} | changes)
