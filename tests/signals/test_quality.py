"""Each planted fault is found where it is, and clean signals are left in peace."""

import numpy as np
import pytest

from physio_mae_jax.data.synthetic import CHANNELS, CohortConfig, SyntheticCohort
from physio_mae_jax.signals import quality
from physio_mae_jax.signals.quality import (
    Artifact,
    constant_runs,
    find_artifacts,
    find_runs,
    heart_rate_bpm,
)

RATE = 100.0


@pytest.fixture(scope="module")
def clean():
    """II, PPG and EEG of a minute, without noise or drop-outs."""
    cohort = SyntheticCohort(CohortConfig(num_subjects=2, noise_level=0.0))
    rows = [CHANNELS.index(name) for name in ("II", "PPG", "EEG")]
    return cohort.read(0, 0, 6000)[rows]


def found(signal, expected=()):
    names, units = ("II", "PPG", "EEG")[: len(signal)], ("mV", "", "uV")[: len(signal)]
    return {(f.kind, f.channel): f for f in find_artifacts(signal, names, units, RATE, expected)}


def test_a_clean_recording_has_no_findings(clean):
    assert found(clean) == {}


def test_runs_are_where_the_condition_holds():
    rng = np.random.default_rng(0)
    for _ in range(50):
        condition = rng.random(40) < 0.6
        runs = find_runs(condition)
        rebuilt = np.zeros(40, bool)
        for start, stop in runs:
            assert condition[start:stop].all()
            assert start == 0 or not condition[start - 1]
            assert stop == 40 or not condition[stop]
            rebuilt[start:stop] = True
        np.testing.assert_array_equal(rebuilt, condition)
        assert find_runs(condition, 3) == [run for run in runs if run[1] - run[0] >= 3]
    assert constant_runs(np.array([1, 1, 2, 3, 3, 3.0]), 3) == [(3, 6)]


def test_missing_samples_are_found_sample_by_sample(clean):
    signal = clean.copy()
    signal[1, 100:150] = np.nan
    signal[1, 3000] = np.inf
    finding = found(signal)[quality.NOT_FINITE, "PPG"]
    assert finding.runs == ((100, 150), (3000, 3001))
    assert finding.num_samples == 51


def test_a_flat_line_of_a_second_is_found_and_a_shorter_one_is_not(clean):
    signal = clean.copy()
    signal[0, 1000:1120] = signal[0, 1000]
    signal[0, 2000:2060] = signal[0, 2000]
    assert found(signal)[quality.FLAT, "II"].runs == ((1000, 1120),)


def test_clipping_at_a_rail_is_found(clean):
    signal = clean.copy()
    signal[0] = np.minimum(signal[0], 0.4 * signal[0].max())
    finding = found(signal)[quality.CLIPPED, "II"]
    assert len(finding.runs) > 20
    top = signal[0].max()
    assert all((signal[0, a:b] == top).all() for a, b in finding.runs)


def test_values_no_body_gives_are_found_in_the_unit_they_have(clean):
    signal = clean.copy()
    signal[0, 500] = 35.0
    finding = found(signal)[quality.OUT_OF_RANGE, "II"]
    assert finding.runs == ((500, 501),)
    assert "35 mV" in finding.detail
    assert find_artifacts(signal[:1] * 1e3, ("II",), ("uV",), RATE) == []


def test_a_heart_that_beats_too_slowly_or_not_at_all_is_found(clean):
    assert found(clean[:, :600]) == {}
    noise = np.random.default_rng(0).normal(size=(1, 3000)).astype(np.float32) * 0.01
    spikes = noise.copy()
    spikes[0, 200:3000:600] += 1.0  # every six seconds
    finding = found(spikes)[quality.HEART_RATE, "II"]
    assert "10 beats per minute" in finding.detail


def test_no_heart_rate_is_looked_for_where_none_could_be_seen():
    slow = np.random.default_rng(0).normal(size=(1, 400)).astype(np.float32)
    assert not [
        found
        for found in find_artifacts(slow, ("II",), ("mV",), 4.0)
        if found.kind == quality.HEART_RATE
    ]


@pytest.mark.parametrize("kind", ["ECG", "PPG"])
def test_the_heart_rate_is_that_of_the_synthetic_truth(kind):
    cohort = SyntheticCohort(CohortConfig(num_subjects=12, recordings_per_subject=1))
    row = CHANNELS.index({"ECG": "II", "PPG": "PPG"}[kind])
    errors = []
    for index in range(12):
        values = cohort.read(index, 0, 6000)[row]
        truth = cohort.truth(index)
        if truth.rhythm in ("sinus", "bradycardia", "tachycardia"):
            errors.append(abs(heart_rate_bpm(values, kind, 100.0) / truth.heart_rate_bpm - 1))
    assert np.median(errors) < 0.03


def test_an_expected_channel_that_is_not_there_is_found(clean):
    assert found(clean, expected=("II", "V1")) == {
        (quality.MISSING, "V1"): Artifact(kind=quality.MISSING, channel="V1")
    }


def test_judging_changes_nothing(clean):
    signal = clean.copy()
    signal[0, 10:20] = np.nan
    before = signal.copy()
    find_artifacts(signal, ("II", "PPG", "EEG"), ("mV", "", "uV"), RATE)
    np.testing.assert_array_equal(signal, before)
