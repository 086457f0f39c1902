"""Units in any spelling are one, placeholders are none, and factors are exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_units_that_are_not_known_are_left_as_they_are():
    for unit in ("", "adu", "n/a", "foo"):
        montage = derive_channels(["II"], ["II"], "rec", target_units=["mV"], present_units=[unit])
        assert montage.rows == (((0, 1.0),),)
