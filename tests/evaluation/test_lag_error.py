"""Lags of single windows against their reference."""

import numpy as np
import pytest

from physio_mae_jax.data.synthetic import CohortConfig, SyntheticCohort
from physio_mae_jax.evaluation.lag_error import beat_lags, lag_error, window_lags


def test_the_lag_of_shifted_steps_is_their_shift():
    rng = np.random.default_rng(0)
    ecg = rng.normal(size=(3, 60, 4)).astype(np.float32)
    pulse = np.stack(
        [np.roll(one, shift, axis=0) for one, shift in zip(ecg, (2, 4, 7), strict=True)]
    )
    found = window_lags(np.stack([pulse, ecg], axis=1), tuple(range(1, 10)), 0.05)
    np.testing.assert_allclose(found, (0.1, 0.2, 0.35), atol=0.01)


def test_a_constant_is_separated_from_the_rest():
    reference = np.array([0.2, 0.3, np.nan, 0.25, 0.35])
    error = lag_error(reference + 0.05 + np.array([0, 0.01, 0, -0.01, 0]), reference)
    assert error["windows"] == 4
    assert error["constant"] == pytest.approx(0.05)
    assert error["median"] == pytest.approx(0.05)
    assert error["median_without_constant"] == pytest.approx(0.005)
    assert np.isnan(lag_error(reference, np.full(5, np.nan))["median"])


def test_beats_give_the_lag_of_clean_windows_and_none_of_noise():
    source = SyntheticCohort(CohortConfig(num_subjects=2, seconds=12.0, noise_level=0.0))
    names = source.recordings[0].channel_names
    rows = [names.index("PPG"), names.index("II")]
    signals = np.stack([source.read(i, 0, 1000)[rows] for i in range(2)])
    found = beat_lags(signals, 100.0)
    for i in range(2):
        transit = source.truth(i).pulse_transit_time_seconds
        assert 0 < found[i] - transit < 0.15  # the rise follows the foot
    noise = np.random.default_rng(0).normal(size=(1, 2, 1000))
    assert np.isnan(beat_lags(noise, 100.0)).all()
