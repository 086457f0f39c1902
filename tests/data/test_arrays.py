"""Recordings in memory: gaps are found, gains divide, and absent rows are zero."""

import numpy as np
import pytest

from physio_mae_jax.data import arrays
from physio_mae_jax.data.arrays import ArrayRecordings, absent_rows, find_gaps
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError


def test_gaps_are_the_samples_that_are_not_finite(monkeypatch):
    signal = np.zeros((2, 1000))
    signal[0, 10:20], signal[1, 990:] = np.nan, np.inf
    assert find_gaps(signal) == ((0, 10, 20), (1, 990, 1000))
    assert find_gaps(signal[:, :5]) == ()
    # Read in pieces, a gap may be split, and nothing of it is lost.
    monkeypatch.setattr(arrays, "_VALUES_PER_READ", 2 * 15)
    assert sum(stop - start for _, start, stop in find_gaps(signal)) == 20


def test_integers_have_no_gaps():
    assert find_gaps(np.full((1, 5), -32768, np.int16)) == ()


def test_rows_of_gaps_only_are_absent():
    assert absent_rows([(0, 0, 4), (0, 4, 10), (1, 0, 9)], 10) == [0]


def test_samples_are_divided_by_their_gain_and_never_changed():
    counts = np.array([[200, 400], [7, 7]], np.int16)
    info = RecordingInfo(
        record_id="r", subject_id="s", channel_names=("I", "II"), sampling_rate_hz=100.0,
        num_samples=2,
    )  # fmt: skip
    held = ArrayRecordings([counts], [info], [np.array([200.0, 1.0])], [[1]])
    np.testing.assert_array_equal(held.read(0, 0, 2), [[1, 2], [0, 0]])
    np.testing.assert_array_equal(counts, [[200, 400], [7, 7]])
    with pytest.raises(DataError, match=r"samples \[0, 3\) of recording r"):
        held.read(0, 0, 3)
