"""Laws of the synthetic cohort: reproducible, true to physiology and to its own ground truth."""

import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import signal as scipy_signal

from physio_mae_jax.data.synthetic import CHANNELS, RHYTHMS, CohortConfig, SyntheticCohort
from physio_mae_jax.errors import ConfigError

RATE_HZ = 100.0
# Steepest rise of a pulse after its foot: one width of the systolic Gaussian.
RISE_SECONDS = 0.075


@pytest.fixture(scope="module")
def noisy() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig())


@pytest.fixture(scope="module")
def clean() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig(noise_level=0))


def whole(cohort: SyntheticCohort, index: int) -> np.ndarray:
    return cohort.read(index, 0, cohort.recordings[index].num_samples)


def of_rhythm(cohort: SyntheticCohort, rhythm: str, count: int = 4) -> list[int]:
    indices = range(len(cohort.recordings))
    found = [index for index in indices if cohort.truth(index).rhythm == rhythm]
    assert len(found) >= count, f"the default cohort has too few recordings of {rhythm}"
    return found[:count]


def assert_same_truth(one: SyntheticCohort, other: SyntheticCohort, index: int) -> None:
    left, right = (dataclasses.asdict(cohort.truth(index)) for cohort in (one, other))
    for key, value in left.items():
        np.testing.assert_array_equal(value, right[key], err_msg=key)


def band_power(signal: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Mean power density in a band."""
    frequency, power = scipy_signal.welch(signal, RATE_HZ, nperseg=400)
    return float(power[(frequency >= low_hz) & (frequency <= high_hz)].mean())


def test_slices_are_parts_of_the_whole(noisy: SyntheticCohort) -> None:
    signal = whole(noisy, 3)
    assert signal.shape == (14, 6000)
    assert signal.dtype == np.float32
    assert np.isfinite(signal).all()
    fresh = SyntheticCohort(noisy.config)
    np.testing.assert_array_equal(fresh.read(3, 1234, 2345), signal[:, 1234:2345])


def test_recordings_do_not_depend_on_what_was_read_before(noisy: SyntheticCohort) -> None:
    forward = {index: whole(noisy, index) for index in (0, 1, 2, 5)}
    fresh = SyntheticCohort(noisy.config)
    for index in (5, 2, 1, 0):
        np.testing.assert_array_equal(whole(fresh, index), forward[index])
    # A cohort of another size has the same first subjects.
    small = SyntheticCohort(dataclasses.replace(noisy.config, num_subjects=1))
    np.testing.assert_array_equal(whole(small, 1), forward[1])


def test_seeds_subjects_and_recordings_differ(noisy: SyntheticCohort) -> None:
    other = SyntheticCohort(dataclasses.replace(noisy.config, seed=1))
    signals = [whole(noisy, 0), whole(noisy, 1), whole(noisy, 2), whole(other, 0)]
    for position, one in enumerate(signals):
        for another in signals[position + 1 :]:
            assert np.all(np.abs(one - another).max(axis=1) > 0.05)


def test_a_reader_cannot_spoil_later_reads(noisy: SyntheticCohort) -> None:
    first = whole(noisy, 7)
    expected = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(whole(noisy, 7), expected)


def test_threads_and_pickled_copies_read_the_same(noisy: SyntheticCohort) -> None:
    original = SyntheticCohort(dataclasses.replace(noisy.config, seconds=10.0))
    expected = [whole(original, index) for index in range(6)]
    packed = pickle.dumps(original)
    assert len(packed) < 2_000
    copy = pickle.loads(packed)
    assert list(copy.recordings) == list(original.recordings)
    with ThreadPoolExecutor(16) as pool:
        read = list(pool.map(lambda index: whole(copy, index % 6), range(36)))
    for index, signal in enumerate(read):
        np.testing.assert_array_equal(signal, expected[index % 6])


def test_descriptions_are_unique_and_name_the_subject(noisy: SyntheticCohort) -> None:
    infos = noisy.recordings
    assert len(infos) == 128
    assert len({info.record_id for info in infos}) == 128
    assert infos[7].record_id == "synthetic_s003_r1"
    assert infos[7].subject_id == "s003"
    assert infos[7].channel_names == CHANNELS
    assert infos[7].seconds == 60


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


@pytest.mark.parametrize("rhythm", list(RHYTHMS))
def test_bodies_do_not_depend_on_the_sampling_rate(clean: SyntheticCohort, rhythm: str) -> None:
    fast = SyntheticCohort(dataclasses.replace(clean.config, sampling_rate_hz=500.0))
    index = of_rhythm(clean, rhythm)[0]
    assert_same_truth(fast, clean, index)
    slow_signal, fast_signal = whole(clean, index), whole(fast, index)[:, ::5]
    # The f-waves of fibrillation and the EEG are noise processes, drawn anew for each rate.
    same = ["PPG"] if rhythm == "atrial_fibrillation" else [*CHANNELS[:12], "PPG"]
    for name in same:
        row = CHANNELS.index(name)
        np.testing.assert_allclose(slow_signal[row], fast_signal[row], atol=1e-3, err_msg=name)


def test_dropped_sensors_are_flat_where_the_truth_says(noisy: SyntheticCohort) -> None:
    seen = set()
    for index in range(len(noisy.recordings)):
        for name, start, stop in noisy.truth(index).dropouts:
            assert 0.5 <= stop - start <= 3.0
            row = CHANNELS.index(name)
            first, last = round(start * RATE_HZ), round(stop * RATE_HZ)
            if len(seen) < 4:
                signal = whole(noisy, index)[row]
                assert np.ptp(signal[first:last]) == 0
                assert np.ptp(np.delete(signal, np.s_[first:last])) > 0
            seen.add(name)
    assert len(seen) >= 4
    assert seen <= {"PPG", "V1", "V2", "V3", "V4", "V5", "V6"}


def test_a_clean_cohort_has_the_same_hearts_and_no_noise(
    noisy: SyntheticCohort, clean: SyntheticCohort
) -> None:
    for index in range(20):
        assert clean.truth(index).dropouts == ()
        np.testing.assert_array_equal(
            clean.truth(index).r_peak_seconds, noisy.truth(index).r_peak_seconds
        )
    row, index = CHANNELS.index("II"), of_rhythm(clean, "sinus")[0]
    quiet, loud = (band_power(whole(c, index)[row], 42, 48) for c in (clean, noisy))
    assert loud > 10 * quiet


def test_eeg_shows_alpha_over_its_background(clean: SyntheticCohort) -> None:
    for index in range(6):
        signal = whole(clean, index)[CHANNELS.index("EEG")]
        neighbors = band_power(signal, 5, 7) + band_power(signal, 14, 16)
        assert band_power(signal, 8.5, 11.5) > 2 * neighbors
        assert band_power(signal, 1, 3) > band_power(signal, 30, 40)
        assert 5 < signal.std() < 60


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_subjects", 0),
        ("recordings_per_subject", 0),
        ("seconds", float("nan")),
        ("sampling_rate_hz", 1.0),
        ("seed", -1),
        ("noise_level", -0.1),
    ],
)
def test_impossible_settings_are_named(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{key}\b.*{value}"):
        CohortConfig(**{key: value})
