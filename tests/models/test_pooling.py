"""The mean counts the valid tokens only."""

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.window_batch import Windows


def test_tokens_of_absent_channels_and_of_padding_hold_no_signal():
    windows = Windows.blank(2, 3, 400)._replace(
        channel_mask=jnp.array([[True, False, True], [True, True, True]]),
        num_valid_columns=jnp.array([20, 4]),
    )
    mask = windows.token_mask(20, 4)
    assert mask.shape == (2, 3, 20, 4)
    assert mask.sum(axis=(2, 3)).tolist() == [[80, 0, 80], [16, 16, 16]]
    whole = windows._replace(num_valid_columns=None).token_mask(20, 4)
    assert whole.sum(axis=(2, 3)).tolist() == [[80, 0, 80], [80, 80, 80]]


def test_the_mean_counts_valid_tokens_only():
    latents = jax.random.normal(jax.random.key(0), (2, 3, 5, 4, 8))
    mask = jax.random.uniform(jax.random.key(1), latents.shape[:-1]) < 0.3
    mask = mask.at[1].set(False)
    found = pool_tokens(jnp.where(mask[..., None], latents, jnp.nan), mask)
    np.testing.assert_allclose(found[0], latents[0][mask[0]].mean(axis=0), atol=1e-5)
    assert not found[1].any()
    present = jnp.array([[True, False, True], [True, True, False]])
    by_channel = pool_tokens(latents, present[:, :, None, None])
    np.testing.assert_allclose(by_channel[0], latents[0, [0, 2]].mean(axis=(0, 1, 2)), atol=1e-5)


def test_weights_of_columns_count_in_the_mean():
    latents = jax.random.normal(jax.random.key(0), (2, 3, 5, 4, 8))
    mask = jax.random.uniform(jax.random.key(1), latents.shape[:-1]) < 0.5
    weights = np.array([0.0, 1.0, 3.0, 0.5, 0.0])
    found = pool_tokens(jnp.where(mask[..., None], latents, jnp.nan), mask, weights)
    of_token = np.asarray(mask) * weights[:, None]
    for mean, values, one in zip(found, latents, of_token, strict=True):
        expected = np.average(np.asarray(values).reshape(-1, 8), axis=0, weights=one.ravel())
        np.testing.assert_allclose(mean, expected, atol=1e-5)
    np.testing.assert_array_equal(
        pool_tokens(latents, mask, np.ones(5)), pool_tokens(latents, mask)
    )
