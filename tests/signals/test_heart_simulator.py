"""Simulated hearts are true to physiology."""

import numpy as np
import pytest
from scipy import signal as scipy_signal

from physio_mae_jax.data.synthetic import CHANNELS, RHYTHMS, CohortConfig, SyntheticCohort
from tests.cohorts import RATE_HZ, of_rhythm, whole

# Steepest rise of a pulse after its foot: one width of the systolic Gaussian.
RISE_SECONDS = 0.075


@pytest.fixture(scope="module")
def noisy() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig())


@pytest.fixture(scope="module")
def clean() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig(noise_level=0))


@pytest.mark.parametrize("index", [0, 1, 9])
def test_limb_leads_obey_einthoven_and_goldberger(noisy: SyntheticCohort, index: int) -> None:
    one, two, three, avr, avl, avf = whole(noisy, index)[:6].astype(float)
    for derived, law in (
        (three, two - one),
        (avr, -(one + two) / 2),
        (avl, one - two / 2),
        (avf, two - one / 2),
    ):
        np.testing.assert_allclose(derived, law, atol=2e-6)


@pytest.mark.parametrize("rhythm", ["sinus", "atrial_fibrillation", "bradycardia", "tachycardia"])
def test_detected_r_peaks_are_the_true_ones(clean: SyntheticCohort, rhythm: str) -> None:
    for index in of_rhythm(clean, rhythm):
        lead = whole(clean, index)[CHANNELS.index("II")]
        found = scipy_signal.find_peaks(lead, height=0.5 * lead.max(), distance=25)[0] / RATE_HZ
        truth = clean.truth(index).r_peak_seconds
        # A peak within 20 ms of either end may lie on no sample.
        inner = truth[(truth > 0.02) & (truth < 59.97)]
        assert abs(len(found) - len(truth)) <= len(truth) - len(inner)
        assert np.abs(inner[:, None] - found).min(axis=1).max() <= 0.02


def test_pulses_rise_the_stated_time_after_r_peaks(clean: SyntheticCohort) -> None:
    for index in (*of_rhythm(clean, "sinus"), *of_rhythm(clean, "tachycardia", 2)):
        truth = clean.truth(index)
        slope = np.gradient(whole(clean, index)[CHANNELS.index("PPG")])
        lags = []
        for peak in truth.r_peak_seconds[1:-2]:
            start = round((peak + 0.1) * RATE_HZ)
            lags.append((start + np.argmax(slope[start : start + 40])) / RATE_HZ - peak)
        stated = truth.pulse_transit_time_seconds
        np.testing.assert_allclose(np.array(lags) - RISE_SECONDS, stated, atol=0.02)
        np.testing.assert_allclose(truth.pulse_foot_seconds - truth.r_peak_seconds, stated)


def test_transit_time_belongs_to_the_subject(noisy: SyntheticCohort) -> None:
    times = [noisy.truth(index).pulse_transit_time_seconds for index in range(20)]
    assert times[0::2] == times[1::2]
    assert len(set(times)) == 10
    assert min(times) >= 0.15
    assert max(times) <= 0.35


def variation(cohort: SyntheticCohort, index: int) -> float:
    intervals = np.diff(cohort.truth(index).r_peak_seconds)
    return float(intervals.std() / intervals.mean())


def test_rhythms_are_what_their_names_say(clean: SyntheticCohort) -> None:
    fibrillation, sinus = (
        [variation(clean, index) for index in of_rhythm(clean, rhythm, 8)]
        for rhythm in ("atrial_fibrillation", "sinus")
    )
    assert min(fibrillation) > 0.12 > max(sinus)
    assert min(sinus) > 0.005
    for rhythm, low, high in (
        ("bradycardia", 35, 53),
        ("sinus", 45, 98),
        ("tachycardia", 100, 145),
    ):
        rates = [clean.truth(index).heart_rate_bpm for index in of_rhythm(clean, rhythm)]
        assert low < min(rates) <= max(rates) < high
    drawn = [clean.truth(index).rhythm for index in range(128)]
    for rhythm, share in RHYTHMS.items():
        assert abs(drawn.count(rhythm) / 128 - share) < 4 * np.sqrt(share * (1 - share) / 128)


def test_p_waves_are_missing_only_in_fibrillation(clean: SyntheticCohort) -> None:
    def p_height(index: int) -> float:
        """Rise of the mean beat of lead II between 0.25 and 0.08 s before R, over its ends."""
        lead = whole(clean, index)[CHANNELS.index("II")]
        peaks = np.rint(clean.truth(index).r_peak_seconds[1:-1] * RATE_HZ).astype(int)
        beat = np.mean([lead[peak - 25 : peak - 7] for peak in peaks], axis=0)
        return float(beat.max() - max(beat[0], beat[-1]))

    with_p = [p_height(index) for index in of_rhythm(clean, "sinus", 6)]
    without_p = [p_height(index) for index in of_rhythm(clean, "atrial_fibrillation", 6)]
    assert min(with_p) > 0.06
    assert max(without_p) < 0.04


def test_ectopic_beats_are_early_weak_and_followed_by_a_pause(clean: SyntheticCohort) -> None:
    for index in of_rhythm(clean, "ventricular_ectopy"):
        truth = clean.truth(index)
        intervals, ectopic = np.diff(truth.r_peak_seconds), truth.beat_is_ectopic
        assert ectopic.any()
        usual = np.median(intervals)
        assert np.all(intervals[ectopic[1:]] < 0.85 * usual)
        assert np.all(intervals[ectopic[:-1]] > 1.15 * usual)
        pulse = whole(clean, index)[CHANNELS.index("PPG")]
        rises = np.array(
            [
                np.ptp(pulse[first : first + 18])
                for first in np.rint(truth.pulse_foot_seconds[:-1] * RATE_HZ).astype(int)
            ]
        )
        normal = ~ectopic[:-1]
        assert rises[~normal].mean() < 0.8 * rises[normal].mean()
    assert not clean.truth(of_rhythm(clean, "sinus")[0]).beat_is_ectopic.any()


def test_precordial_r_waves_grow_and_avr_is_negative(clean: SyntheticCohort) -> None:
    heights, depths = [], []
    for index in of_rhythm(clean, "sinus", 12):
        signal = whole(clean, index)
        peaks = np.rint(clean.truth(index).r_peak_seconds[1:-1] * RATE_HZ).astype(int)
        beat = np.mean([signal[:, peak - 6 : peak + 7] for peak in peaks], axis=0)
        heights.append(beat.max(axis=1))
        depths.append(-beat.min(axis=1))
        tallest = dict(zip(CHANNELS, heights[-1], strict=True))
        deepest = dict(zip(CHANNELS, depths[-1], strict=True))
        assert deepest["V1"] > tallest["V1"]
        assert tallest["V5"] > max(deepest["V5"], tallest["V1"])
        assert deepest["aVR"] > 2 * tallest["aVR"]
        assert 0.4 < tallest["II"] < 2.0
    # V3 is the zone of transition: a heart turned clockwise has a small R there, the usual has not.
    usual = dict(zip(CHANNELS, np.median(heights, axis=0), strict=True))
    assert usual["V1"] < usual["V3"] < usual["V4"]
