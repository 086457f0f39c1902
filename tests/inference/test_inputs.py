"""Inputs of a caller are taken for what they are: values of any form, masked arrays, frames."""

import collections
import datetime
import decimal
import fractions

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pyarrow
import pytest

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from tests.encoders import beats, encoder

LEADS = ["I", "II", "V1"]
SIGNAL = beats(5, 100)
GIVEN = {"sampling_rate_hz": 100, "channels": LEADS}


@pytest.fixture(scope="module")
def made():
    return encoder()


def read(signal=SIGNAL, **changes):
    """Return what is read of one recording, and what is said of it."""
    recordings, _ = as_recordings(signal, SignalMetadata(**GIVEN | changes))
    info = recordings.recordings[0]
    return recordings.read(0, 0, info.num_samples), info


@pytest.mark.parametrize(
    "rate",
    [
        np.array(100),
        np.array([[100.0]]),
        np.float32(100),
        np.longdouble(100),
        jnp.array(100),
        jnp.float32(100),
        decimal.Decimal(100),
        fractions.Fraction(100),
        np.array(100, object),
        [100],
        np.array([100]),
        pd.Series([100]),
    ],
)
def test_a_rate_is_a_number_in_any_form(rate):
    assert read(sampling_rate_hz=rate)[1].sampling_rate_hz == 100.0


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("125", r"is the text '125'; give a number"),
        (np.array("125"), r"is the text '125'"),
        (b"125", r"is the text '125'"),
        (["125"], r"is the text '125'"),
        (True, r"is True; give a number"),
        (100j, r"is 100j; give a number"),
        (np.nan, r"is missing \(nan\)"),
        (pd.NA, r"is missing \(<NA>\)"),
        (np.ma.masked, "is missing"),
        (np.ma.array(100, mask=True), "is missing"),
        (10**400, "beyond any number"),
        (datetime.timedelta(milliseconds=10), r"is datetime\.timedelta"),
        (0.004, r"is 0\.004: .* not plausible"),
        (-100, r"is -100: .* not plausible"),
        (5, r"5 Hz of I, II, V1 is not plausible; 10 to 50000"),
        (1e302, "not plausible"),
        (np.inf, "not plausible"),
        ({"fs": 100}, "is a mapping"),
        ({100}, "is a set, which has no order"),
        (iter([100]), "is an iterator"),
        (object(), "is <object object"),
        ([100, 100], "2 entries for 1 recordings"),
        ([], "0 entries for 1 recordings"),
    ],
)
def test_what_is_no_rate_is_named(rate, message):
    with pytest.raises(DataError, match=message):
        read(sampling_rate_hz=rate)


@pytest.mark.parametrize(
    "channels",
    [
        "I,II,V1",
        np.array("I,II,V1"),
        b"I,II,V1",
        tuple(LEADS),
        np.array(LEADS),
        np.array(LEADS, object),
        np.array(LEADS, "S"),
        np.array([LEADS]),
        [np.array(name) for name in LEADS],
        pd.Index(LEADS),
        pd.CategoricalIndex(LEADS),
        pd.Series(LEADS, dtype="string"),
        pd.Index(LEADS, dtype="string[pyarrow]"),
        dict.fromkeys(LEADS).keys(),
        collections.deque(LEADS),
        [LEADS],
    ],
)
def test_names_are_a_list_in_any_form(channels):
    assert read(channels=channels)[1].channel_names == tuple(LEADS)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([3], r"has 3 \(int\) among its names"),
        (3, "is 3; give a list of names"),
        (["I", "II", np.nan], r"has nan \(float\)"),
        (["I", None, "II"], r"has None \(NoneType\)"),
        (["I", pd.NA, "II"], r"has <NA> \(NAType\)"),
        (np.ma.array(LEADS, mask=[0, 1, 0]), r"has None \(NoneType\)"),
        ((name for name in LEADS), "is an iterator"),
        (set(LEADS), "is a set"),
        (dict.fromkeys(LEADS), "is a mapping"),
        ([], "is empty"),
        ("", "an empty name"),
        (["I", " ", "II"], "an empty name"),
        (["I", "II", "x" * 5000], "a name of 5000 letters"),
        (object(), "is <object object"),
    ],
)
def test_what_is_no_name_is_named(channels, message):
    with pytest.raises(DataError, match=message):
        read(channels=channels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": 5}, "units is 5; give text"),
        ({"units": [1, 2, 3]}, r"units has 1 \(int\)"),
        ({"units": {"I": "mV"}}, "units is a mapping"),
        ({"units": ["mV"]}, "units has 1 entries"),
        ({"gain": "x"}, "gain is the text 'x'"),
        ({"gain": [1, "2", 3]}, "gain is the text '2'"),
        ({"gain": [1, np.nan, 3]}, r"gain is missing \(nan\)"),
        ({"gain": np.ma.array([1, 2, 3], mask=[0, 1, 0])}, "gain is missing"),
        ({"gain": 0}, "never 0"),
        ({"gain": True}, "gain is True"),
        ({"gain": {"I": 2}}, "gain is a mapping"),
        ({"names": [np.nan]}, "names has nan"),
        ({"names": 5}, "names is 5"),
        ({"names": ["a", "b"]}, "2 names are given for 1 recordings"),
    ],
)
def test_what_describes_nothing_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        read(**changes)


def test_units_gains_and_names_come_in_any_form():
    for units in (None, np.nan, pd.NA, ["mV", None, np.nan], np.array(["mV", "", ""])):
        assert read(units=units)[1].units[1:] == ("", "")
    for gain in (200, np.array(200), [200] * 3, pd.Series([200] * 3), np.full((3, 1), 200.0)):
        np.testing.assert_allclose(read(gain=gain)[0], SIGNAL / 200, atol=1e-6)
    for names in ("p1", b"p1", ["p1"], np.array(["p1"]), pd.Series(["p1"])):
        assert read(names=names)[1].record_id == "p1"


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


def test_masked_integers_are_still_counts():
    counts = np.ma.array(np.round(SIGNAL * 1000).astype(np.int16), mask=SIGNAL > 0.5)
    with pytest.raises(DataError, match=r"masked integers, .*\(ADU\)"):
        read(counts)
    found = read([1, np.ma.masked, 3, 4], channels="I", units="adu")[0]
    np.testing.assert_array_equal(found, [[1, np.nan, 3, 4]])


FRAME = pd.DataFrame(SIGNAL.T, columns=LEADS)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_na_of_a_frame_is_missing(backend):
    frame = FRAME.convert_dtypes(dtype_backend=backend)
    np.testing.assert_allclose(read(frame, channels=None)[0], SIGNAL, atol=1e-6)
    frame.iloc[7, 1] = pd.NA
    found, info = read(frame, channels=None)
    assert np.isnan(found[1, 7])
    assert info.gaps == ((1, 7, 8),)


def test_nullable_integers_are_counts_with_and_without_na():
    frame = (FRAME * 1000).round().astype("Int64")
    for missing in (False, True):
        if missing:
            frame.iloc[3, 0] = pd.NA
        with pytest.raises(DataError, match=r"\(ADU\)"):
            read(frame, channels=None)
        found = read(frame, channels=None, units="adu")[0]
        assert np.isnan(found).sum() == missing


def test_a_table_and_a_series_are_frames():
    table = pyarrow.Table.from_pandas(FRAME)
    np.testing.assert_allclose(read(table, channels=None)[0], SIGNAL, atol=1e-6)
    series = FRAME["II"]
    np.testing.assert_allclose(read(series, channels=None)[0], SIGNAL[1:2], atol=1e-6)
    assert read(FRAME.set_axis([" I", "II ", "V1"], axis=1))[1].channel_names == tuple(LEADS)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.set_axis(["I", "II", "I"], axis=1), "2 columns of the frame are named 'I'"),
        (FRAME.assign(label="x"), "column 'label' must be real"),
        (FRAME.assign(when=pd.Timestamp(0)), "column 'when' must .* got datetime64"),
        (FRAME.astype("category"), "column 'I' must .* got category"),
        (FRAME.set_axis(["I", "II", np.nan], axis=1), "column 3 of the frame has no name"),
        (FRAME.set_axis(pd.MultiIndex.from_product([["a"], LEADS]), axis=1), "multi-level names"),
        (FRAME[[]], "has no columns"),
    ],
)
def test_columns_that_cannot_be_told_are_named(frame, message):
    with pytest.raises(DataError, match=message):
        read(frame, channels=None)
    if "named 'I'" in message:
        read(frame.iloc[:, 1:], channels=["II", "I"])


def test_names_without_an_identity_are_reported():
    known = encoder(input={"channels": ("I", "left", "right")})
    _, report = known.encode_with_report(
        SIGNAL, sampling_rate_hz=100, channels=["I", "left", "right"]
    )
    (note,) = report.of("warning")
    assert note.text == "names that the model cannot tell apart: left, right"
    assert "warning    names that" in str(report)
