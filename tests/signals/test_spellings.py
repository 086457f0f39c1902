"""Every spelling of an electrode, lead or sensor is that channel; what is another is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.signals.channels import (
    TEN_TWENTY,
    TWELVE_LEADS,
    VOCABULARY,
    canonical_name,
    channel_id,
    find_unidentified,
    is_ecg,
)
from physio_mae_jax.signals.vocabulary import TEN_TEN

SPELLINGS = {
    "EEG_FP1": (
        *("Fp1", "fp1", "FP1", "EEG Fp1", "EEG Fp1-REF", "EEG FP1-LE", "EEG FP1-Ref", "Fp1-A2"),
        *(
            "EEG_Fp1",
            "EEG-Fp1",
            "EEG.Fp1",
            "EEGFp1",
            "EEG(Fp1)",
            "Fp1.",
            "Fp1..",
            "'Fp1'",
            "Fp1-AVG",
        ),
    ),
    "EEG_C3": (
        *("C3", "EEG C3", "C3-M2", "C3-A2", "C3:A2", "C3/A2", "C3A2", "EEG C3-M2", "C3-REF"),
        *("C3-(M1+M2)/2", "C3-M1M2", "C3-A1+A2", "C3 REF", "C3-AR", "C3-CAR", "C3 – M2"),
    ),
    "EEG_T3": ("T3", "T7", "EEG T7", "EEG T3-LE", "T7-REF", "t7"),
    "EEG_T4": ("T4", "T8", "EEG T8-REF"),
    "EEG_T5": ("T5", "P7", "EEG P7-A1"),
    "EEG_T6": ("T6", "P8", "EEG P8"),
    "EEG_FPZ": ("Fpz", "FPZ", "EEG Fpz", "Fpz."),
    "EEG_AF3": ("AF3", "EEG AF3-REF", "Af3."),
    "EEG_FC5": ("FC5", "Fc5."),
    "EEG_CP1": ("CP1", "cp1"),
    "EEG_PO7": ("PO7", "Po7."),
    "EEG_CZ": ("Cz", "Cz..", "EEG Cz-Ref"),
    "EEG_A1": ("A1", "EEG A1", "EEG A1-REF"),
    "EEG_M1": ("M1", "EEG M1"),
    "EEG_FPZ_CZ": ("EEG Fpz-Cz", "Fpz-Cz", "EEG_FPZ_CZ"),
    "EEG_PZ_OZ": ("EEG Pz-Oz", "Pz-Oz"),
    "II": (
        *(
            "MDC_ECG_LEAD_II",
            "II",
            "ii",
            "Lead II",
            "LEAD_II",
            "lead-ii",
            "ECG_II",
            "ECG II",
            "EKG-II",
            "EKG II",
        ),
        *("DII", "ECG DII", "ECG D2", "ECG LEAD II", "ECG Lead-II", "EcgLeadII", "ECGII", "MLII"),
        *("II-ECG", "II,", "'MLII'", '"II"', "Ⅱ", "II [mV]", "II (uV)", "ECG LL-RA", "ECG MLII"),
    ),
    "I": ("I", "i", "Lead I", "DI", "ECG I", "LA-RA ECG", "ECG LA-RA"),
    "aVR": ("aVR", "AVR", "avr", "Lead aVR", "ECG_AVR", "EKG aVR"),
    "V1": ("V1", "v1", "ECG V1", "EKG_V1", "V1 ECG", "V1-ECG", "Lead V1", "MV1"),
    "V": ("V", "ECG V"),
    "ECG": ("ECG", "EKG", "ecg", "ECG ECG", "ECG (mV)"),
    "PPG": ("PPG", "Pleth", "PLETH", "BVP", "pleth,", "Plethysmograph"),
    "PPG_GREEN": ("ppg_green", "PPG green"),
    "SPO2": ("SpO2", "SPO2", "SaO2", "SpO2 (%)"),
    "RESP": ("Resp", "RESP", "Respiration", "Resp oro-nasal"),
    "RESP_ABDOMEN": ("Abd", "ABDO RES", "Abdomen"),
    "ACC_X": ("ACC_X", "ACC X", "acc-x", "AccX", "Accelerometer_X", "ACC_X (g)"),
    "EOG_L": ("LOC", "E1-M2", "EOG(L)", "EOG left", "LOC-A2"),
    "EMG": ("EMG", "Chin", "EMG-Chin", "EMG submental"),
}
# Two scalp electrodes, a sign, a number, another sensor: none of them is what it looks like.
OTHERS = (
    *("C3-C4", "F7-T3", "FP1-F7", "EEG C3-C4", "T8-P8-0", "CZ-PZ", "C3-Cz", "A1-A2", "EEG A2-A1"),
    *("-aVR", "−aVR", "ECG -aVR", "aVR-", "V1-V2", "V1-V6", "I-II", "II-V5", "RA-LA", "VR"),
    *("1", "2", "Lead 1", "D2", "D1", "Lead V", "ECG1", "ECG 2", "EEG1", "EEG 1", "E1", "E2"),
    *("l", "lI", "O2 sat", "Abdomen_1", "ABP Mean", "PPG (G)", "PPG1", "Marker", "HRV", ""),
    "EEG_C3 vs A1",
    "P3 (not EEG)",
)


@pytest.mark.parametrize("name", VOCABULARY)
def test_every_name_of_the_vocabulary_is_itself_in_any_case(name):
    for spelling in (name, name.lower(), name.upper(), f"  '{name}' ", f'"{name}",'):
        assert canonical_name(spelling) == name
    assert channel_id(name) == VOCABULARY.index(name)


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_of_one_channel_are_that_channel(name):
    assert {spelling: canonical_name(spelling) for spelling in SPELLINGS[name]} == dict.fromkeys(
        SPELLINGS[name], name
    )


def test_the_table_of_spellings_is_large():
    assert sum(map(len, SPELLINGS.values())) >= 100


@pytest.mark.parametrize("electrode", [*TEN_TWENTY, *TEN_TEN])
def test_an_electrode_is_one_with_and_without_its_reference(electrode):
    spellings = (
        electrode,
        f"EEG {electrode}",
        f"{electrode}-REF",
        f"EEG {electrode}-LE",
        f"{electrode.lower()}-avg",
    )
    assert {canonical_name(spelling) for spelling in spellings} == {f"EEG_{electrode}"}


@pytest.mark.parametrize("lead", TWELVE_LEADS)
@pytest.mark.parametrize("prefix", ["ECG ", "EKG-", "LEAD_", "Lead ", "ecg lead ", "ECG-LEAD-"])
def test_leads_have_any_prefix(lead, prefix):
    assert canonical_name(prefix + lead) == canonical_name(prefix + lead.upper()) == lead
    assert is_ecg(prefix + lead)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_another_signal_has_no_identity(name):
    assert channel_id(name) == 0
    assert canonical_name(name) == name
    assert find_unidentified(["II", name]) == (name,)


@given(st.text(max_size=40))
def test_a_canonical_name_is_its_own(name):
    canonical = canonical_name(name)
    assert canonical_name(canonical) == canonical
    assert canonical_name(f"  {name}  ") == canonical
    if canonical in VOCABULARY:
        assert canonical_name(name.lower()) in (canonical, name.strip().lower())


@given(
    st.sampled_from([s for some in SPELLINGS.values() for s in some]), st.sampled_from("'\"` \t")
)
def test_case_and_surroundings_do_not_matter(spelling, around):
    for variant in (spelling.upper(), spelling.lower(), f"{around}{spelling}{around}"):
        assert canonical_name(variant) == canonical_name(spelling)
