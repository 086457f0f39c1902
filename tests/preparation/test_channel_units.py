"""Channels of files are converted to one unit."""

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.channel_units import choose_channel_units, convert_units


def test_channels_of_files_are_brought_to_the_first_known_unit():
    files = [("a", ("II",), ("",)), ("b", ("II", "PPG"), ("uV", "")), ("c", ("II",), ("mV",))]
    wanted = choose_channel_units(files)
    assert wanted == {"II": "uV"}
    signal = np.array([[1.5, -0.25]], np.float32)
    assert convert_units(signal, ("II",), ("mV",), wanted) == (("uV",), ("II: mV × 1000 = uV",))
    assert signal.tolist() == [[1500.0, -250.0]]
    assert convert_units(signal, ("II",), ("uV",), {"II": "mV"})[0] == ("mV",)
    assert signal.tolist() == [[1.5, -0.25]]
    assert convert_units(signal, ("II",), ("",), wanted) == (("",), ())


def test_quantities_that_differ_are_rejected_with_both_files():
    files = [("a.edf", ("II",), ("mV",)), ("b.edf", ("II",), ("mmHg",))]
    with pytest.raises(DataError, match=r"II is in mV in a.edf and in mmHg in b.edf"):
        choose_channel_units(files)
