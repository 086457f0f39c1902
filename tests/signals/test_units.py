"""Units in any spelling are one, placeholders are none, and factors are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.data.channel_plan import ChannelPlanner, common_units
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.channel_units import choose_channel_units, convert_units
from physio_mae_jax.signals.channel_derivation import derive_channels
from physio_mae_jax.signals.units import (
    canonical_unit,
    is_known_unit,
    is_unclear_unit,
    unit_factor,
)

SPELLINGS = {
    "uV": (
        *("uV", "UV", " uV ", "µV", "μV", "ÂµV", "Î¼V", "Ã\x82ÂµV", "microvolt", "Microvolts"),
        *("uvolts", "micro volts", "[uV]", "\x83\xcaV"),
    ),
    "mV": ("mV", "mv", "millivolt", "Millivolts", "milli volts"),
    "V": ("V", "v", "Volt", "Volts"),
    "nV": ("nV", "nanovolts"),
    "MV": ("MV",),
    "degC": ("degC", "°C", "Â°C", "Celsius"),
    "mmHg": ("mmHg", "MMHG", "mm Hg"),
    "uS": ("uS", "µS", "microsiemens"),
    "mS": ("mS",),
    "adu": ("adu", "ADU", "counts"),
    "": (
        *("", " ", "n/a", "N/A", "a.u.", "au", "unknown", "-", "none", "NU", "nd", "mV/nu", "nan"),
        *(".V", "?V", "\ufffdV", "arbitrary units", "<NA>"),
    ),
}


@pytest.mark.parametrize("unit", SPELLINGS)
def test_spellings_of_one_unit_are_that_unit(unit):
    found = {spelling: canonical_unit(spelling) for spelling in SPELLINGS[unit]}
    assert found == dict.fromkeys(SPELLINGS[unit], unit)
    assert canonical_unit(unit) == unit


@given(st.text(max_size=12))
def test_a_usual_spelling_is_its_own(unit):
    assert canonical_unit(canonical_unit(unit)) == canonical_unit(unit)


def test_what_is_meant_as_a_unit_and_not_known_is_told_from_what_says_nothing():
    assert all(map(is_unclear_unit, (".V", "?V", "\ufffdV", "foo", "uV/bit")))
    assert not any(map(is_unclear_unit, ("", "n/a", "-", "mV", "ÂµV", "adu", "a.u.")))
    assert not any(map(is_known_unit, ("", "n/a", "adu", "?V", "foo")))


@pytest.mark.parametrize("wanted", ["V", "mV", "uV", "nV"])
@pytest.mark.parametrize("unit", ["V", "mV", "uV", "nV"])
def test_factors_of_volts_undo_each_other(unit, wanted):
    assert unit_factor(unit, wanted) * unit_factor(wanted, unit) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize(("unit", "wanted"), [("degC", "degF"), ("mmHg", "mV"), ("uS", "uV")])
def test_there_is_no_factor_between_quantities(unit, wanted):
    assert unit_factor(unit, wanted) is None


def info(units, names=("I", "II"), record_id="r"):
    return RecordingInfo(
        record_id=record_id,
        subject_id="s",
        channel_names=names,
        sampling_rate_hz=250.0,
        num_samples=10,
        units=units,
    )


@pytest.mark.parametrize("units", [("mV", "uV"), ("uV", "mV"), ("V", "nV"), ("uV", "uV")])
def test_a_derived_lead_is_made_of_terms_of_one_unit(units):
    volts = np.array([[1e-3], [2e-3]])
    signal = np.stack([v * unit_factor("V", u) for v, u in zip(volts, units, strict=True)])
    recordings = [info(units), info(("mV", "mV"), record_id="q")]
    planner = ChannelPlanner("I,II,III,aVF", common_units(recordings))
    made = planner.plan(recordings[0]).montage.apply(signal.astype(np.float32))
    shared = common_units(recordings)
    expected = {"I": 1e-3, "II": 2e-3, "III": 1e-3, "aVF": 1.5e-3}
    for name, row in zip(("I", "II", "III", "aVF"), made, strict=True):
        assert row[0] * unit_factor(shared[name], "V") == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.parametrize(
    ("units", "words"),
    [
        (("mV", ""), "an unknown unit"),
        (("", "uV"), "an unknown unit"),
        (("adu", "mV"), "cannot be derived from"),
        (("mV", "mmHg"), "different quantities"),
    ],
)
def test_a_lead_is_not_derived_of_what_cannot_be_added(units, words):
    with pytest.raises(DataError, match=words):
        derive_channels(["III"], ["I", "II"], "rec", present_units=units)


@pytest.mark.parametrize("units", [(), ("", ""), ("adu", "adu"), ("foo", "foo")])
def test_a_lead_is_derived_where_nothing_is_known_of_any_unit(units):
    montage = derive_channels(["III"], ["I", "II"], "rec", present_units=units)
    assert sorted(montage.rows[0]) == [(0, -1.0), (1, 1.0)]


def test_units_that_are_not_known_are_left_as_they_are():
    for unit in ("", "adu", "n/a", "foo"):
        montage = derive_channels(["II"], ["II"], "rec", target_units=["mV"], present_units=[unit])
        assert montage.rows == (((0, 1.0),),)


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
