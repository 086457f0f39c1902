"""Hashes identify subjects and samples, and nothing that many recordings share."""

import numpy as np

from physio_mae_jax.data.fingerprints import block_hashes, subject_hash

RATE_HZ = 50.0


def noise(seconds=25.0, seed=0):
    shape = (2, round(seconds * RATE_HZ))
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_each_block_of_each_channel_has_a_hash():
    signal = noise()
    hashes = block_hashes(signal, RATE_HZ)
    assert len(set(hashes)) == 4
    assert block_hashes(signal[1:], RATE_HZ) == hashes[2:]
    assert block_hashes(signal[:, :600], RATE_HZ) == hashes[::2]
    assert not set(block_hashes(noise(seed=1), RATE_HZ)) & set(hashes)


def test_constant_and_missing_samples_have_no_hash():
    signal = noise()
    signal[0, :500], signal[1, 7] = 3.0, np.nan
    assert len(block_hashes(signal, RATE_HZ)) == 2


def test_a_device_at_rest_that_was_resampled_has_no_hash():
    """Rounding errors of one resampling are alike in all recordings at rest."""
    signal = noise()
    signal[0] = np.float32(0.265625)
    signal[0, ::2] = np.nextafter(np.float32(0.265625), np.float32(1))
    assert block_hashes(signal, RATE_HZ) == block_hashes(signal[1:], RATE_HZ)
    signal[0, ::2] = np.float32(0.265625) + np.float32(1 / 64)  # a step of the device
    assert len(block_hashes(signal, RATE_HZ)) == 4


def test_a_subject_is_one_of_its_data_set():
    assert subject_hash("a", "1") != subject_hash("b", "1")
    assert subject_hash("a", "b1") != subject_hash("ab", "1")
