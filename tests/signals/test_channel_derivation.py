"""Channels: aliases, exact derivations, conversions of units, and what is rejected."""

import itertools

import numpy as np
import pytest

from physio_mae_jax.data.channel_plan import ChannelPlanner
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channel_derivation import derive_channels
from physio_mae_jax.signals.channels import (
    TEN_TWENTY,
    TWELVE_LEADS,
    VOCABULARY,
    channel_id,
    select_channels,
)
from physio_mae_jax.signals.units import canonical_unit, unit_factor


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


CHANNEL_PRESETS = {
    ("12_lead", TWELVE_LEADS[::-1]): TWELVE_LEADS,
    ("ecg_ppg", ("RESP", "PPG", "V1", "II")): ("II", "PPG"),
    ("ecg_ppg", ("PPG", "V1")): ("V1", "PPG"),
    ("ppg_only", ("II", "PPG")): ("PPG",),
    ("default_5ch", ("ECG", "ACC_Z", "ACC_X", "ACC_Y", "PPG")): (
        *("ECG", "ACC_X", "ACC_Y", "ACC_Z", "PPG"),
    ),
    ("default_5ch", ("PPG", "ACC_X")): ("ACC_X", "PPG"),
    ("", ("B", "A")): ("B", "A"),
    ("pleth, MLII", ("II",)): ("PPG", "II"),
}


@pytest.mark.parametrize("case", CHANNEL_PRESETS, ids=lambda case: f"{case[0]} of {len(case[1])}")
def test_policies_take_what_is_there_and_lists_what_is_named(case):
    assert select_channels(*case) == CHANNEL_PRESETS[case]


def test_policies_without_a_channel_and_doubled_names_are_reported():
    with pytest.raises(DataError, match=r"'ppg_only' requires PPG; the data has II"):
        select_channels("ppg_only", ("II",))
    with pytest.raises(DataError, match=r"lists a channel more than once"):
        select_channels("II,MLII", ("II",))


def test_recordings_alike_share_a_plan_and_say_what_they_lack():
    planner = ChannelPlanner("I,III,PPG")
    info = RecordingInfo(
        record_id="r",
        subject_id="s",
        channel_names=("I", "II"),
        sampling_rate_hz=100.0,
        num_samples=10,
    )
    plan = planner.plan(info)
    assert plan.missing == ("PPG",)
    assert plan.ids.tolist() == [channel_id("I"), channel_id("III"), channel_id("PPG")]
    assert planner.plan(info) is plan


def test_ids_of_channels_never_change():
    """A changed order would re-label the channels of trained models: append only."""
    first = ("unknown", *TWELVE_LEADS, "PPG", "EEG", "RESP", "ACC_X", "ACC_Y", "ACC_Z", "EDA")
    assert VOCABULARY[: len(first)] == first
    assert VOCABULARY.index("ECG") == 24
    assert VOCABULARY[24:29] == ("ECG", "SPO2", "CVP", "ICP", "EEG_FPZ_CZ")
    assert VOCABULARY[30:54] == tuple(f"EEG_{position}" for position in TEN_TWENTY)
    assert VOCABULARY[54:57] == ("EEG_FPZ", "EEG_AF7", "EEG_AF3")
    assert len(VOCABULARY) == 142
    assert len(set(VOCABULARY)) == len(VOCABULARY)
