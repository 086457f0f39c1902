"""Reports of encodings."""

import numpy as np
import pytest

from tests.encoders import beats, encoder


@pytest.fixture(scope="module")
def made():
    return encoder()


def test_a_report_says_each_thing_once(made):
    signals = [beats(5, 250)[[1, 0]], beats(3, 250)[[1, 0]]]
    _, report = made.encode_with_report(signals, sampling_rate_hz=250, channels=["MLII", "I"])
    assert str(report).splitlines() == [
        "recordings 2 of 8 s in all, 3 windows of 4 s",
        "resampled  from 250 to 100 Hz",
        "renamed    MLII is II",
        "reordered  II, I -> I, II",
        "padded     from 3 to 4 s, masked (1 of 2 recordings: recording 1)",
        "nothing    converted, masked, rejected",
    ]


def test_a_batch_without_recordings_has_an_empty_report(made):
    found, report = made.encode_with_report(
        np.zeros((0, 2, 500)), sampling_rate_hz=100, channels=["I", "II"]
    )
    assert found.shape == (0, 32)
    assert report.recordings == report.channels == report.notes == ()
    assert report.lines()[0] == "recordings 0 of 0 s in all, 0 windows of 4 s"
