"""Channels: aliases, exact derivations, conversions of units, and what is rejected."""

import itertools

import numpy as np
import pytest

from physio_mae_jax.data.channel_plan import ChannelPlanner, common_units
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channel_derivation import derive_channels
from physio_mae_jax.signals.units import (
    canonical_unit,
    unit_factor,
)


def test_limb_leads_follow_from_any_two_of_the_first_three():
    rng = np.random.default_rng(0)
    lead_1, lead_2 = rng.normal(size=(2, 50))
    truth = {
        "I": lead_1,
        "II": lead_2,
        "III": lead_2 - lead_1,
        "aVR": -(lead_1 + lead_2) / 2,
        "aVL": lead_1 - lead_2 / 2,
        "aVF": lead_2 - lead_1 / 2,
    }
    for pair in (("I", "II"), ("II", "III"), ("III", "I")):
        wanted = [name for name in ("I", "II", "III") if name not in pair]
        if pair == ("I", "II"):
            wanted += ["aVR", "aVL", "aVF"]
        montage = derive_channels(wanted, pair, "r")
        made = montage.apply(np.stack([truth[name] for name in pair]).astype(np.float32))
        for row, name in zip(made, wanted, strict=True):
            np.testing.assert_allclose(row, truth[name], atol=1e-6)
        assert len(montage.notes) == len(wanted)


def test_aliases_are_the_same_electrode_and_order_is_the_wanted_one():
    montage = derive_channels(["PPG", "II", "V9"], ["MLII", "PLETH"], "r")
    assert montage.rows == (((1, 1.0),), ((0, 1.0),), ())
    assert montage.sources == (0, 1)
    assert not montage.apply(np.ones((2, 4)))[2].any()


def test_units_of_one_quantity_are_converted_and_that_is_said():
    montage = derive_channels(["II"], ["II"], "r", target_units=["mV"], present_units=["uV"])
    assert montage.apply(np.full((1, 2), 1500.0))[0] == pytest.approx(1.5, rel=1e-6)
    assert montage.notes == ("II: uV × 0.001 = mV",)
    unknown = derive_channels(["II"], ["II"], "r", target_units=["mV"], present_units=[""])
    assert unknown.notes == ()


def test_units_of_another_quantity_are_rejected():
    with pytest.raises(DataError, match=r"'II' must be in mV .*got mmHg"):
        derive_channels(["II"], ["II"], "rec", target_units=["mV"], present_units=["mmHg"])
    assert canonical_unit(" µV ") == "uV"
    assert unit_factor("adu", "mV") is None
    for unit, wanted in itertools.permutations(("uV", "mV", "V"), 2):
        assert unit_factor(unit, wanted) == pytest.approx(1 / unit_factor(wanted, unit))
    assert (unit_factor("V", "mV"), unit_factor("uV", "V")) == (1e3, 1e-6)


def test_two_rows_of_one_name_are_rejected():
    with pytest.raises(DataError, match=r"rec has 2 channels named 'II' \(II, MLII\)"):
        derive_channels(["II"], ["II", "MLII"], "rec")


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
