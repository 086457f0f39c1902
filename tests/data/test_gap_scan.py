"""Scans for missing values: what is counted, bounded reads, and lines of progress."""

import logging

import numpy as np
import pytest

from physio_mae_jax.data import gap_scan, validation
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import DataError
from tests.data.raw_recordings import broken, good, run, source_of
from tests.long_recordings import GeneratedRecording


def test_inf_is_counted_apart_and_across_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = broken(0, 498, 4, np.inf)
    signal[0, 900] = np.nan
    signal[1, 300] = -np.inf
    monkeypatch.setattr(validation, "_VALUES_PER_READ", 1000)
    with pytest.raises(DataError, match=r"II has 1 NaN and 4 Inf .* sample 498 .*PPG has 1 Inf"):
        run(source_of(good(), signal))


def scan(seconds: float) -> GeneratedRecording:
    source = GeneratedRecording(seconds)
    joined = ConcatSource([source], [[0]])
    found = gap_scan.ScannedRecordings(joined, [0], skip_unreadable=False)
    assert found.recordings[0].gaps == ()
    return source


def test_reads_do_not_grow_with_the_recording():
    assert scan(7200).longest_read == scan(14_400).longest_read


def test_a_short_scan_is_silent_and_a_long_one_tells_of_its_progress(monkeypatch, caplog):
    caplog.set_level(logging.INFO, gap_scan.__name__)
    scan(60)
    assert not caplog.messages
    monkeypatch.setattr(gap_scan, "_SECONDS_PER_LINE", 0.0)
    scan(7200)
    assert caplog.messages[-1] == "searched 2 of 2 h of recordings for missing values"
