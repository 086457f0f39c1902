"""Signals of a caller are encoded as what they are, and unclear names are reported."""

import numpy as np
import pytest

from physio_mae_jax.errors import UserError
from tests.encoders import encoder
from tests.inference.input_signals import GIVEN, SIGNAL


@pytest.fixture(scope="module")
def made():
    return encoder()


def test_a_masked_array_is_encoded_as_one_with_nan(made):
    dirty, mask = SIGNAL.copy(), np.zeros(SIGNAL.shape, bool)
    mask[2] = True
    dirty[2] = 1e30
    missing = np.where(mask, np.nan, SIGNAL)
    wanted = made.encode(missing, **GIVEN)
    found, report = made.encode_with_report(np.ma.array(dirty, mask=mask), **GIVEN)
    np.testing.assert_array_equal(found, wanted)
    assert "500 masked or NA values" in report.of("converted")[0].text
    mask[2, 5:] = False
    with pytest.raises(UserError, match="values that are not finite"):
        made.encode(np.ma.array(SIGNAL, mask=mask), **GIVEN)
    plain = made.encode(np.ma.array(SIGNAL, mask=False), **GIVEN)
    np.testing.assert_array_equal(plain, made.encode(SIGNAL, **GIVEN))


def test_names_without_an_identity_are_reported():
    known = encoder(input={"channels": ("I", "left", "right")})
    _, report = known.encode_with_report(
        SIGNAL, sampling_rate_hz=100, channels=["I", "left", "right"]
    )
    (note,) = report.of("warning")
    assert note.text == "names that the model cannot tell apart: left, right"
    assert "warning    names that" in str(report)
