"""Cutting and joining of patches, and what may be seen of a signal."""

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.signals import patches


def test_patches_join_to_the_same_scalogram() -> None:
    scalogram = jax.random.normal(jax.random.key(0), (2, 3, 3, 16, 120))
    boxes = patches.patchify_scalogram(scalogram, 4, 20)
    assert boxes.shape == (2, 3, 6, 4, 3 * 4 * 20)
    np.testing.assert_array_equal(patches.join_patches(boxes, 3, 4), scalogram)


def test_a_patch_is_flattened_plane_scale_sample() -> None:
    scalogram = jax.random.normal(jax.random.key(0), (1, 1, 3, 8, 40))
    box = patches.patchify_scalogram(scalogram, 4, 20)[0, 0, 1, 1]
    np.testing.assert_array_equal(box, scalogram[0, 0, :, 4:8, 20:40].reshape(-1))


def test_bridging_reads_nothing_hidden_and_is_straight() -> None:
    signal = jax.random.normal(jax.random.key(0), (3, 2, 100))
    hidden = jnp.array([[1, 0, 1, 1, 0], [0, 1, 1, 1, 1], [0, 1, 0, 1, 0]], bool)
    filled = patches.fill_masked_columns(signal, hidden, 20)
    samples = np.repeat(hidden, 20, axis=1)
    other = jnp.where(samples[:, None], 1e3, signal)
    np.testing.assert_array_equal(filled, patches.fill_masked_columns(other, hidden, 20))
    time = np.arange(100)
    for row in range(3):
        seen = time[~samples[row]]
        for channel in range(2):
            line = np.interp(time, seen, np.asarray(signal)[row, channel, seen])
            np.testing.assert_allclose(filled[row, channel], line, atol=1e-5)
