"""Names of recordings: what is beside a channel tells what it is."""

import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import (
    TEN_TWENTY,
    TWELVE_LEADS,
    VOCABULARY,
    canonical_name,
    channel_id,
    resolve_recording_names,
    select_channels,
    trained_channel_id,
)
from physio_mae_jax.signals.vocabulary import NUM_FIRST_NAMES

BESIDE = {
    ("mmHg tells a pressure", ("ECG", "P3", "ABP"), ("mV", "mmHg", "mmHg")): (1,),
    ("oxygen beside carbon dioxide", ("ECG", "O2", "CO2"), ()): (1,),
    ("pressures without units", ("ABP", "P1", "P2"), ()): (1, 2),
    ("chest leads of the IEC", ("II", "C1", "C2", "C6"), ()): (1, 2, 3),
    ("inputs of a converter", ("A1", "A2", "A5"), ()): (0, 1, 2),
    ("electrodes", ("Fp1", "C3", "O1", "O2"), ("uV",) * 4): (),
    ("electrodes and an ECG", ("C3", "C4", "O2", "II"), ()): (),
    ("an electrode alone", ("O2",), ()): (),
    ("counts", ("C3", "C4"), ("adu", "adu")): (),
}


@pytest.mark.parametrize("case", BESIDE, ids=lambda case: case[0])
def test_what_is_beside_a_channel_tells_what_it_is(case):
    _, names, units = case
    without = [
        row for row, n in enumerate(resolve_recording_names(names, units)) if not channel_id(n)
    ]
    assert tuple(without) == BESIDE[case]


def test_names_of_a_recording_stay_as_they_are_when_read_again():
    for _, names, units in BESIDE:
        found = resolve_recording_names(names, units)
        assert resolve_recording_names(found, units) == tuple(map(canonical_name, found)) == found


def test_one_electrode_against_two_references_stays_two_channels():
    found = resolve_recording_names(["C3-A1", "C3-A2", "C4-A1"])
    assert found == ("EEG_C3 vs A1", "EEG_C3 vs A2", "EEG_C4")
    assert resolve_recording_names(["II", "MLII"]) == ("II", "II")


def test_a_name_understood_since_is_what_it_was_to_a_trained_model():
    assert (trained_channel_id("Fp1"), trained_channel_id("EEG_FP1")) == (0, channel_id("Fp1"))
    assert VOCABULARY.index("EEG_FPZ") == NUM_FIRST_NAMES


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
