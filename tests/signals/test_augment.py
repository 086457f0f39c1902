"""Augmented windows stay normalized and depend on the generator alone."""

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals.augment import AugmentConfig, augment
from physio_mae_jax.signals.preprocess import z_score
from tests.window_readers import random_recordings


def test_augmented_windows_stay_normalized_and_follow_from_the_generator_alone():
    signal, _ = z_score(random_recordings([500], channels=3)[0])
    present = np.array([True, True, False])
    config = AugmentConfig(
        noise=0.3, baseline_wander=0.5, powerline=0.2, channel_dropout=0.5, time_mask=0.2
    )
    first = augment(signal, present, 250.0, config, np.random.default_rng(4))
    again = augment(signal, present, 250.0, config, np.random.default_rng(4))
    np.testing.assert_array_equal(first[0], again[0])
    for seed in range(30):
        changed, left = augment(signal, present, 250.0, config, np.random.default_rng(seed))
        assert left.any()
        assert not left[2]
        assert not changed[~left].any()
        np.testing.assert_allclose(changed[left].std(axis=1, ddof=1), 1.0, atol=1e-4)


def test_added_noise_is_white_normal_and_another_one_in_every_window_and_channel():
    time = np.arange(2000) / 100
    signal, present = z_score(np.sin(2 * np.pi * time) * np.ones((4, 1)))
    config = AugmentConfig(noise=0.5)
    noises = []
    for seed in range(20):
        changed, _ = augment(signal, present, 100.0, config, np.random.default_rng(seed))
        # What is left of each channel after the signal is taken out by least squares.
        share = (changed * signal).sum(axis=1) / (signal * signal).sum(axis=1)
        noises.append(z_score(changed - share[:, None] * signal)[0])
    rows = np.concatenate(noises)
    group_similar_names = rows @ rows.T / rows.shape[1]
    assert np.abs(group_similar_names - np.eye(len(rows))).max() < 0.12  # five standard errors
    spectrum = (np.abs(np.fft.rfft(rows)) ** 2).mean(axis=0)[1:-1]
    halves = spectrum[: len(spectrum) // 2].mean() / spectrum[len(spectrum) // 2 :].mean()
    assert halves == pytest.approx(1, abs=0.05)
    assert (rows**4).mean() == pytest.approx(3, abs=0.1)


def test_no_augmentation_changes_nothing():
    assert AugmentConfig().is_off
    with pytest.raises(ConfigError, match=r"data\.augment\.channel_dropout is 1\.5"):
        AugmentConfig(channel_dropout=1.5)
