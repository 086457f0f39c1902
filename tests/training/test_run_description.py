"""Parameters are listed with their shapes, and batches so that they are found again."""

import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.training.run_description import (
    describe_batch,
    parameter_summary,
    parameter_table,
)

PARAMS = {"encoder": {"kernel": np.zeros((1000, 2000))}, "head": {"bias": np.zeros(3)}}


def test_parameters_are_listed_and_counted():
    table = parameter_table(PARAMS)
    assert "encoder/kernel" in table
    assert "(1000, 2000)" in table
    assert table.split()[-2:] == ["total", "2,000,003"]
    assert parameter_summary(PARAMS) == "2.00 M parameters (encoder 2.00 M, head 0.00 M)"


def test_a_window_is_found_again_by_its_recording_and_time():
    info = RecordingInfo(
        record_id="r7", subject_id="s", channel_names=("II",), sampling_rate_hz=250.0,
        num_samples=5000,
    )  # fmt: skip
    batch = {
        "recording": np.array([0]),
        "start": np.array([150]),
        "channel_mask": np.array([[True]]),
        "signal": np.array([[[1.0, np.nan, 3.0]]]),
    }
    (window,) = describe_batch(batch, [info], 100.0)
    assert (window["recording"], window["start_seconds"]) == ("r7", 1.5)
    assert not window["finite"]
