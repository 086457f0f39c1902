"""R peaks and rises of the pulse are found where the simulator put them."""

import numpy as np
import pytest

from physio_mae_jax.data.synthetic import CHANNELS, CohortConfig, SyntheticCohort
from physio_mae_jax.signals.beat_times import beat_train, pulse_rise_times, r_peak_times

RISE_AFTER_FOOT_SECONDS = 0.075  # of ``heart_simulator.pulse_wave``


def matched(found, true, tolerance):
    """Return the errors of the true times that were found, and their share."""
    nearest = found[np.abs(found[None, :] - true[:, None]).argmin(axis=1)]
    errors = nearest - true
    hit = np.abs(errors) < tolerance
    return errors[hit], hit.mean()


@pytest.fixture(scope="module")
def recordings():
    made = []
    for rate in (100.0, 250.0):
        cohort = SyntheticCohort(CohortConfig(num_subjects=6, sampling_rate_hz=rate, seconds=40.0))
        made += [
            (cohort.read(i, 0, int(40 * rate)), cohort.truth(i), rate) for i in range(0, 12, 2)
        ]
    return made


@pytest.mark.parametrize("lead", ["II", "aVR"])
def test_r_peaks_are_those_of_the_simulator(recordings, lead):
    for signal, truth, rate in recordings:
        peaks = truth.r_peak_seconds
        inner = peaks[(peaks > 0.5) & (peaks < 39.5) & ~truth.beat_is_ectopic]
        found = r_peak_times(signal[CHANNELS.index(lead)], rate)
        errors, recall = matched(found, inner, 0.05)
        assert recall > 0.95, truth.rhythm
        assert len(found) < 1.1 * len(peaks), truth.rhythm
        assert np.abs(np.median(errors)) < 0.015


def test_rises_of_the_pulse_are_those_of_the_simulator(recordings):
    for signal, truth, rate in recordings:
        rises = truth.pulse_foot_seconds + RISE_AFTER_FOOT_SECONDS
        inner = rises[(rises > 1) & (rises < 39) & ~truth.beat_is_ectopic]
        found = pulse_rise_times(signal[CHANNELS.index("PPG")], rate)
        errors, recall = matched(found, inner, 0.06)
        assert recall > 0.85, truth.rhythm
        assert np.abs(np.median(errors)) < 0.02


def test_gain_offset_and_polarity_move_no_r_peak(recordings):
    signal, _, rate = recordings[0]
    lead = signal[CHANNELS.index("II")].astype(np.float64)
    times = r_peak_times(lead, rate)
    np.testing.assert_allclose(r_peak_times(-3 * lead + 7, rate), times, atol=1e-6)


def test_signals_without_beats_have_none():
    for find in (r_peak_times, pulse_rise_times):
        assert len(find(np.full(1000, 3.0), 100.0)) == 0
        assert len(find(np.arange(50.0), 100.0)) == 0


def test_a_train_is_a_unit_vector_whose_shift_moves_it():
    times = np.array([1.0, 1.8, 2.7])
    train = beat_train(times, 400, 0.01)
    assert np.linalg.norm(train) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(beat_train(times + 0.2, 400, 0.01)[20:], train[:-20], atol=1e-6)
    assert not beat_train(np.zeros(0), 400, 0.01).any()
