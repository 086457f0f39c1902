"""Metadata of recordings: their duration, their subject and their bounds."""

import pytest

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError

INFO = RecordingInfo(
    record_id="r", subject_id="s", channel_names=("II",), sampling_rate_hz=250.0, num_samples=500,
    data_set="waves",
)  # fmt: skip


def test_a_recording_has_a_duration_and_a_subject_of_its_data_set():
    assert INFO.seconds == 2.0
    assert INFO.subject_key == "waves:s"


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (6, 5), (0, 501)])
def test_samples_outside_are_rejected(start, stop):
    INFO.reject_outside(0, 500)
    INFO.reject_outside(500, 500)
    with pytest.raises(DataError, match=rf"\[{start}, {stop}\) of recording r .* has 500 samples"):
        INFO.reject_outside(start, stop)
