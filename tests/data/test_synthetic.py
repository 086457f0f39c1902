"""Laws of the synthetic cohort: reproducible, and true to its own ground truth."""

import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.synthetic import CHANNELS, RHYTHMS, CohortConfig, SyntheticCohort
from physio_mae_jax.errors import ConfigError
from tests.cohorts import band_power, of_rhythm, whole


@pytest.fixture(scope="module")
def noisy() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig())


@pytest.fixture(scope="module")
def clean() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig(noise_level=0))


def assert_same_truth(one: SyntheticCohort, other: SyntheticCohort, index: int) -> None:
    left, right = (dataclasses.asdict(cohort.truth(index)) for cohort in (one, other))
    for key, value in left.items():
        np.testing.assert_array_equal(value, right[key], err_msg=key)


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
