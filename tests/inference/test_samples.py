"""Samples of a caller: arrays of any library, masked ones, and what is no signal."""

import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from tests.inference.input_signals import LEADS, SIGNAL, read


class Tensor:
    """An array of another library, which may reject to be one of NumPy."""

    shape = (3, 500)

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        if self.values is None:
            raise RuntimeError("call detach() first")
        return self.values


def test_arrays_of_other_libraries_are_read_or_named():
    for signal in (Tensor(SIGNAL), jnp.asarray(SIGNAL), jnp.asarray(SIGNAL, jnp.bfloat16)):
        np.testing.assert_allclose(read(signal)[0], SIGNAL, atol=1e-2)
    with pytest.raises(DataError, match=r"no array can be made .*RuntimeError: call detach"):
        read(Tensor(None))


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.zeros((0, 3, 500)), r"no recording is given: the signal has shape \(0, 3, 500\)"),
        ([], "the list is empty"),
        ({"I": SIGNAL[0]}, "the signal is a dict"),
        ((row for row in SIGNAL), "the signal is a generator"),
        ([{}], "recording 0 is a dict"),
        ([[[1.0], [2.0, 3.0]]], "no array can be made of recording 0"),
        (SIGNAL.astype(object), "an array of object"),
        ("signal.csv", "an array of <U"),
        (SIGNAL > 0, "an array of bool"),
        (SIGNAL[None, None], r"has shape \(1, 1, 3, 500\)"),
    ],
)
def test_what_is_no_signal_is_named(signal, message):
    with pytest.raises(DataError, match=message):
        as_recordings(signal, SignalMetadata(sampling_rate_hz=100, channels=LEADS))


GARBAGE = {
    "float": (SIGNAL, 1e30),
    "float32": (SIGNAL.astype(np.float32), np.inf),
    "int16": (np.round(SIGNAL * 1000).astype(np.int16), -32768),
    "int64": (np.round(SIGNAL * 1000).astype(np.int64), -(2**63)),
    "large int64": (np.round(SIGNAL * 1000).astype(np.int64) + 2**62, -(2**63)),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_masked_values_are_missing_whatever_lies_below(kind):
    values, garbage = GARBAGE[kind]
    mask = np.zeros(values.shape, bool)
    mask[1, 100:150] = True
    dirty = np.where(mask, values.dtype.type(garbage), values)
    masked = np.ma.array(dirty, mask=mask)
    for signal in (masked, [masked], masked[None]):
        found, info = read(signal, units="adu")
        assert np.isnan(found[mask]).all()
        rows = found - found[:, :1]
        wanted = (values - values[:, :1]).astype(np.float64)
        np.testing.assert_allclose(rows[~mask], wanted[~mask], rtol=1e-4, atol=1e-4)
        assert info.gaps == ((1, 100, 150),)


def test_masked_integers_are_still_counts():
    counts = np.ma.array(np.round(SIGNAL * 1000).astype(np.int16), mask=SIGNAL > 0.5)
    with pytest.raises(DataError, match=r"masked integers, .*\(ADU\)"):
        read(counts)
    found = read([1, np.ma.masked, 3, 4], channels="I", units="adu")[0]
    np.testing.assert_array_equal(found, [[1, np.nan, 3, 4]])
