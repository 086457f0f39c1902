"""Wrong arguments of an encoder: each error states a fix."""

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.errors import DataError, UserError
from tests.encoders import beats, encoder

LEADS = ["I", "II", "V1"]


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.mark.parametrize(
    ("index", "rate_hz", "message"),
    [
        (np.delete(np.arange(620), slice(300, 320)), 100, "jumps from 299 to 320"),
        (np.arange(600) / 100, 200, "is 100 samples per second, but sampling_rate_hz is 200"),
        (np.arange(600) / 100, 100, ""),
        (np.round(np.arange(600) / 120, 2), 120, ""),
        (np.arange(600) * np.timedelta64(10, "ms"), 100, ""),
        (np.arange(600) * np.timedelta64(10, "ms"), 50, "is 100 samples per second"),
        (np.arange(7, 607), 100, ""),
    ],
)
def test_the_index_of_a_frame_has_a_say(made, index, rate_hz, message):
    frame = pd.DataFrame(beats(6, 100).T, columns=LEADS, index=index)
    if message:
        with pytest.raises(DataError, match=message):
            made.encode(frame, sampling_rate_hz=rate_hz)
    else:
        plain = made.encode(frame.reset_index(drop=True), sampling_rate_hz=rate_hz)
        np.testing.assert_array_equal(made.encode(frame, sampling_rate_hz=rate_hz), plain)


@pytest.mark.parametrize(
    ("signal", "changes", "message"),
    [
        (beats(5, 100), {"sampling_rate_hz": None}, "sampling_rate_hz is missing"),
        (beats(5, 100), {"sampling_rate_hz": -1}, "sampling_rate_hz is -1"),
        (beats(5, 100), {"channels": None}, "channels is missing"),
        (beats(5, 100).T, {}, r"\(500, 3\), but 3 channels .* give signal\.T"),
        (beats(5, 100)[:2], {}, r"\(2, 500\), but 3 channels"),
        (beats(5, 100), {"channels": ["I", "II", "V7"]}, "'V7' is not in .* Did you mean .*V6"),
        (beats(5, 100), {"channels": ["I", "II", "MLII"]}, "2 channels named 'II'"),
        ((beats(5, 100) * 200).astype(np.int16), {}, r"int16, .*\(ADU\); give gain="),
        (beats(5, 100), {"units": ["mV", "mmHg", ""]}, "'II' must be in mV .*got mmHg"),
        (beats(5, 100)[:, :1], {}, "one sample of each of 3 channels"),
        (beats(5, 100)[:1, :1], {"channels": ["I"]}, r"\(1 samples\), less than the 0.2 s"),
        (np.zeros((3, 500)), {}, "no channel of it ever varies"),
        (beats(5, 100).astype(str), {}, "is an array of <U"),
        (beats(5, 100), {"output": "mean"}, "output is 'mean'; choose one of pooled"),
        (beats(5, 100), {"overlap": 1.0}, "overlap is 1; it must be a number from 0 to below 1"),
        ([], {}, "the list is empty"),
    ],
)
def test_what_is_wrong_is_named_with_a_way_out(made, signal, changes, message):
    arguments = {"sampling_rate_hz": 100, "channels": LEADS} | changes
    with pytest.raises(UserError, match=message):
        made.encode(signal, **arguments)
