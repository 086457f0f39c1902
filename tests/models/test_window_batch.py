"""Windows as one value."""

import jax
import jax.numpy as jnp
import numpy as np

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


def test_each_channel_becomes_a_window_with_its_padding():
    windows = Windows.of(random_batch(2, 3) | {"num_valid_columns": jnp.array([20, 4])})
    single = windows.single_channels()
    assert single.signal.shape == (6, 1, 400)
    np.testing.assert_array_equal(single.signal[4, 0], windows.signal[1, 1])
    assert single.num_valid_columns.tolist() == [20, 20, 20, 4, 4, 4]
    assert windows._replace(num_valid_columns=None).single_channels().num_valid_columns is None
