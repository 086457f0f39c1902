"""Channels that only count are no signals."""

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.clocks import is_clock
from tests.encoders import beats, encoder

LEADS = ["I", "II", "V1"]
SIGNAL = beats(5, 100)
FRAME = pd.DataFrame(SIGNAL.T, columns=LEADS)
GIVEN = {"sampling_rate_hz": 100, "channels": LEADS}


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.mark.parametrize("clock", [np.arange(500), np.arange(500) / 100, 1.7e9 + np.arange(500)])
def test_a_clock_among_the_channels_is_no_signal(made, clock):
    for signal in (FRAME.assign(II=clock), np.vstack([SIGNAL[0], clock, SIGNAL[2]])):
        with pytest.raises(DataError, match=r"channel 'II' increases by a constant step"):
            made.encode(signal, **GIVEN)
    excluded = made.encode(
        FRAME.assign(time=clock), sampling_rate_hz=100, unknown_channels="exclude"
    )
    np.testing.assert_array_equal(excluded, made.encode(SIGNAL, **GIVEN))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.arange(32), True),
        (np.arange(31), False),  # too few to say
        (np.arange(500)[::-1], False),
        (np.cumsum(np.r_[np.ones(499), 1.5]), False),
        ((1.7e9 + np.arange(500) * 128).astype(np.float32), True),
        (np.zeros(500), False),
    ],
)
def test_a_clock_rises_by_equal_steps(values, wanted):
    assert is_clock(values) is wanted
