"""Rates, names, units and gains of a caller come in any form."""

import collections
import datetime
import decimal
import fractions

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from physio_mae_jax.errors import DataError
from tests.inference.input_signals import LEADS, SIGNAL, read


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
