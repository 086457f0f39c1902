"""Samples with time stamps become a signal of constant rate."""

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.streaming.sample_clock import SampleClock

RATE_HZ = 100.0


def joined(stamps, chunk=32, gap_seconds=0.1, rate_hz=RATE_HZ):
    """Pass samples 0, 1, … with time stamps, and return what comes out of one channel."""
    clock, found = SampleClock(rate_hz, gap_seconds), [np.zeros((1, 0))]
    samples = np.arange(len(stamps), dtype=np.float64)[None]
    for begin in range(0, len(stamps), chunk):
        part = slice(begin, begin + chunk)
        found += clock.with_gaps(samples[:, part], np.asarray(stamps[part]))
    return np.concatenate(found, axis=1)[0]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_gap_of_time_stamps_becomes_missing_values(chunk):
    kept = np.r_[0:200, 250:400, 2000:2100]
    found = joined(kept / RATE_HZ + 7e5, chunk)
    wanted = np.full(2100, np.nan)
    wanted[kept] = np.arange(len(kept))
    np.testing.assert_array_equal(found, wanted)


def test_jitter_and_drift_are_no_gaps():
    ideal = np.arange(60_000) / RATE_HZ
    jitter = np.random.default_rng(0).uniform(0, 0.04, ideal.size)
    np.testing.assert_array_equal(joined(ideal + jitter), np.arange(60_000))
    for factor in (0.998, 1.002):  # a clock that is 2 in 1000 slow or fast, for ten minutes
        np.testing.assert_array_equal(joined(ideal * factor), np.arange(60_000))


def test_a_late_sample_of_a_slow_signal_is_no_gap():
    stamps = np.arange(20.0)
    stamps[10:] += 0.5
    assert np.isfinite(joined(stamps, rate_hz=1.0)).all()
    stamps[15:] += 2
    assert np.isnan(joined(stamps, rate_hz=1.0)).sum() == 2


def test_a_clock_that_is_set_back_is_named():
    stamps = np.arange(100) / RATE_HZ
    stamps[50:] -= 0.3
    with pytest.raises(DataError, match=r"is 0\.300 s earlier than expected"):
        joined(stamps)
    assert len(joined(stamps, gap_seconds=0.4)) == 100
    with pytest.raises(DataError, match="nan s earlier"):
        joined([0.0, np.nan])
