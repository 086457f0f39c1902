"""Simulated noise and sensors that lose their signal."""

import numpy as np
import pytest

from physio_mae_jax.data.synthetic import CHANNELS, CohortConfig, SyntheticCohort
from tests.cohorts import RATE_HZ, band_power, of_rhythm, whole


@pytest.fixture(scope="module")
def noisy() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig())


@pytest.fixture(scope="module")
def clean() -> SyntheticCohort:
    return SyntheticCohort(CohortConfig(noise_level=0))


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
