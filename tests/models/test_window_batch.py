"""Windows as one value, and the mean of their tokens."""

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.window_batch import Windows
from tests.factories import random_batch


def test_windows_take_their_own_entries_of_a_batch():
    batch = random_batch(2, 3) | {"subject": jnp.arange(2)}
    windows = Windows.of(batch)
    assert windows.signal is batch["signal"]
    assert windows.num_valid_columns is None
    assert Windows.of(batch | {"num_valid_columns": 7}).num_valid_columns == 7


def test_windows_pass_through_jit_and_gradients():
    windows = Windows.of(random_batch(2, 3))
    assert len(jax.tree.leaves(windows)) == 3
    doubled = jax.jit(lambda given: given._replace(signal=2 * given.signal))(windows)
    np.testing.assert_array_equal(doubled.signal, 2 * windows.signal)
    of_signal = jax.grad(lambda signal: (windows._replace(signal=signal).signal ** 2).sum())
    np.testing.assert_allclose(of_signal(windows.signal), 2 * windows.signal)


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


def test_each_channel_becomes_a_window_with_its_padding():
    windows = Windows.of(random_batch(2, 3) | {"num_valid_columns": jnp.array([20, 4])})
    single = windows.single_channels()
    assert single.signal.shape == (6, 1, 400)
    np.testing.assert_array_equal(single.signal[4, 0], windows.signal[1, 1])
    assert single.num_valid_columns.tolist() == [20, 20, 20, 4, 4, 4]
    assert windows._replace(num_valid_columns=None).single_channels().num_valid_columns is None


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
