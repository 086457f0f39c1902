"""Pulse arrival times of beats, against those of the simulator."""

import numpy as np
import pytest

from physio_mae_jax.data.synthetic import CHANNELS, CohortConfig, SyntheticCohort
from physio_mae_jax.signals.pulse_alignment import BeatTimes, align_by_peaks, window_starts

RISE_AFTER_FOOT_SECONDS = 0.075  # of ``heart_simulator.pulse_wave``
ROWS = [CHANNELS.index("PPG"), CHANNELS.index("II")]


@pytest.fixture(scope="module")
def cohort():
    return SyntheticCohort(CohortConfig(num_subjects=20, recordings_per_subject=1, seconds=60.0))


def test_the_median_error_is_below_20_ms_in_every_rhythm(cohort):
    errors = []
    for i in range(20):
        truth = cohort.truth(i)
        found = align_by_peaks(*cohort.read(i, 0, 6000)[ROWS], 100.0)
        errors.append(
            found.lag_seconds - (truth.pulse_transit_time_seconds + RISE_AFTER_FOOT_SECONDS)
        )
        assert np.abs(np.nanmedian(errors[-1])) < 0.02, truth.rhythm
        assert np.median(found.confidence) > 0.7, truth.rhythm
        assert found.beats_matched.sum() >= found.r_peak_seconds.size
    assert np.nanmedian(np.abs(errors)) < 0.01


def test_a_shifted_pulse_moves_the_lag_by_the_shift(cohort):
    ppg, ecg = cohort.read(0, 0, 6000)[ROWS]
    before = align_by_peaks(ppg, ecg, 100.0)
    after = align_by_peaks(np.roll(ppg, 10), ecg, 100.0)
    np.testing.assert_allclose(after.lag_seconds - before.lag_seconds, 0.1, atol=0.01)


def test_missing_samples_leave_their_windows_without_a_lag(cohort):
    ppg, ecg = cohort.read(0, 0, 6000)[ROWS].astype(np.float64)
    ppg[1400:2600] = np.nan
    found = align_by_peaks(ppg, ecg, 100.0, step_seconds=5.0)
    assert np.isnan(found.lag_seconds[3])  # 15 to 25 s
    assert found.confidence[3] == found.beats_matched[3] == 0
    assert np.isfinite(found.lag_seconds[[0, 1, 6, 7, 8]]).all()
    silent = align_by_peaks(np.zeros(2000), np.zeros(2000), 100.0)
    assert np.isnan(silent.lag_seconds).all()


def test_a_pulse_belongs_to_one_beat():
    beats = BeatTimes(r_peak_seconds=np.array([1.0, 1.05, 2.0]), rise_seconds=np.array([1.3, 2.25]))
    found = beats.matched(0.25)
    assert found.r_peak_seconds.tolist() == [1.05, 2.0]
    assert found.rise_seconds.tolist() == [1.3, 2.25]
    assert beats.likely_lag() == pytest.approx(0.25, abs=0.02)


def test_windows_are_whole():
    assert window_starts(20.0, 10.0, 5.0).tolist() == [0.0, 5.0, 10.0]
    assert window_starts(9.9, 10.0, 5.0).size == 0
