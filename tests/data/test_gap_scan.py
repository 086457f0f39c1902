"""Scans for missing values: bounded reads, and lines of progress if they take long."""

import logging

from physio_mae_jax.data import gap_scan
from physio_mae_jax.data.sets import ConcatSource
from tests.long_recordings import GeneratedRecording


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
