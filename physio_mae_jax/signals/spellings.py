"""Spellings of channel names, mapped to canonical electrodes and sensors.

A name is a kind ('EEG', 'ECG', 'Lead', ...), a position ('C3', 'II', ...) and a reference ('-REF',
'-A2', ...), in any case and with any separators. The reference is not the electrode; two scalp
electrodes ('C3-C4') are a bipolar derivation, distinct from both, and a sign ('-aVR') denotes
another signal. Only exact spellings are recognized.
"""

import re
import unicodedata

from physio_mae_jax.signals.units import is_known_unit
from physio_mae_jax.signals.vocabulary import TEN_TEN, TEN_TWENTY, TWELVE_LEADS, VOCABULARY

_SEPARATORS = re.compile(r"[\s_.:/\\()\[\]\-]+")
_HYPHENS = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))
# A minus sign at the start or after a space ('-aVR', 'ECG -aVR'), or at the end of the name.
_SIGN = re.compile(r"(?:^|[\s(])[-+](?=\w)|\w\s*[-+]$")
_BRACKETED_UNIT = re.compile(r"^(.+?)[\s_]*[(\[]([^()\[\]]*)[)\]]$", re.DOTALL)
_MEAN_REFERENCE = re.compile(r"\(?\s*([am][12])\s*[+,]\s*([am][12])\s*\)?(?:\s*/\s*2)?")
_MAX_LENGTH = 60  # characters of a name that is parsed

_EEG_POSITIONS = {electrode.lower(): electrode for electrode in (*TEN_TWENTY, *TEN_TEN)} | {
    **{"t7": "T3", "t8": "T4", "p7": "T5", "p8": "T6"},
}
# Reference electrodes, away from the scalp.
_REFERENCE_POSITIONS = ("a1", "a2", "m1", "m2")
_REFERENCES = (
    *_REFERENCE_POSITIONS,
    *("ref", "le", "ar", "avg", "av", "average", "car", "aa", "lm", "nose"),
    *("a1a2", "a2a1", "m1m2", "m2m1", "a1 a2", "a2 a1", "m1 m2", "m2 m1"),
    *("linked ears", "linked mastoids", "avg ref", "average ref", "ears", "mastoids"),
)
_LEADS = {lead.lower(): lead for lead in (*TWELVE_LEADS, "V7", "V8", "V9", "V3R", "V4R")} | {
    **{"di": "I", "dii": "II", "diii": "III"},  # derivación, dérivation, derivação
}
# Unambiguous only in names that mention an ECG.
_LEADS_OF_ECG = {
    **{"d1": "I", "d2": "II", "d3": "III", "v": "V", "vx": "VX", "vy": "VY", "vz": "VZ"},
    **{"la ra": "I", "ll ra": "II", "ll la": "III", "mcl1": "MCL1", "mcl 1": "MCL1"},
}
_MODIFIED_LEADS = {"mli": "I", "mlii": "II", "ml2": "II", "mliii": "III", "ml5": "V5", "mv1": "V1"}
_ECG_TERMS = ("ecg", "ekg", "lead")

# Spellings used by PhysioNet, Empatica, NSRR and others; separators become one space.
_ALIASES = {
    **_MODIFIED_LEADS,
    **{"mcl 1": "MCL1", "frank x": "VX", "frank y": "VY", "frank z": "VZ"},
    **{"pleth": "PPG", "bvp": "PPG", "plethysmogram": "PPG", "plethysmograph": "PPG"},
    **{"photoplethysmogram": "PPG", "photoplethysmography": "PPG", "ppg pleth": "PPG"},
    **{"spo2 pleth": "PPG", "pleth ppg": "PPG", "ppg ir": "PPG_INFRARED", "ppg r": "PPG_RED"},
    **{"gsr": "EDA", "skin conductance": "EDA", "electrodermal activity": "EDA"},
    **{"ekg": "ECG", "ecg ecg": "ECG", "electrocardiogram": "ECG"},
    **{"sao2": "SPO2", "sp o2": "SPO2", "sa o2": "SPO2"},
    **{"eeg eeg": "EEG", "electroencephalogram": "EEG"},
    **{"fpz cz": "EEG_FPZ_CZ", "pz oz": "EEG_PZ_OZ"},
    **{"eog horizontal": "EOG", "horizontal eog": "EOG", "eog eog": "EOG"},
    **{"emg submental": "EMG", "submental emg": "EMG", "emg chin": "EMG", "chin emg": "EMG"},
    **{"chin": "EMG", "submental": "EMG", "emg emg": "EMG", "electromyogram": "EMG"},
    **{"resp oro nasal": "RESP", "respiration": "RESP", "resp resp": "RESP"},
    **{"temp rectal": "TEMP", "temperature": "TEMP", "skin temperature": "TEMP"},
    **{"skin temp": "TEMP", "temp skin": "TEMP"},
    **{"arterial blood pressure": "ABP", "central venous pressure": "CVP"},
    **{"intracranial pressure": "ICP", "pulmonary artery pressure": "PAP"},
    **{"thor res": "RESP_THORAX", "thorax": "RESP_THORAX", "thor": "RESP_THORAX"},
    **{"resp thor": "RESP_THORAX", "resp thoracic": "RESP_THORAX"},
    **{"abd": "RESP_ABDOMEN", "abdo": "RESP_ABDOMEN", "abdo res": "RESP_ABDOMEN"},
    **{"abdomen": "RESP_ABDOMEN", "resp abdo": "RESP_ABDOMEN", "resp abd": "RESP_ABDOMEN"},
    **{"resp abdominal": "RESP_ABDOMEN", "air flow": "AIRFLOW", "resp airflow": "AIRFLOW"},
    **{"nasal airflow": "AIRFLOW"},
}
for _axis in "xyz":
    _ALIASES |= {f"{word} {_axis}": f"ACC_{_axis.upper()}" for word in ("accel", "accelerometer")}
    _ALIASES[f"acceleration {_axis}"] = f"ACC_{_axis.upper()}"
    _ALIASES[f"acc{_axis}"] = _ALIASES[f"{_axis} acc"] = f"ACC_{_axis.upper()}"
    _ALIASES |= {f"{word} {_axis}": f"GYRO_{_axis.upper()}" for word in ("gyr", "gyroscope")}
for _side, _words in (("L", ("left", "l", "loc", "left eye")), ("R", ("right", "r", "roc"))):
    for _word in _words:
        _ALIASES |= {f"eog {_word}": f"EOG_{_side}", f"{_word} eog": f"EOG_{_side}"}
_ALIASES |= {"loc": "EOG_L", "roc": "EOG_R", "eogl": "EOG_L", "eogr": "EOG_R"}
_ALIASES |= {"leog": "EOG_L", "reog": "EOG_R"} | {f"acc {a} g": f"ACC_{a.upper()}" for a in "xyz"}
# With a mastoid or ear reference, E1 and E2 are EOG; alone they may belong to any numbered net.
_EYES = {"loc": "EOG_L", "e1": "EOG_L", "roc": "EOG_R", "e2": "EOG_R"}
_NAMES = {_SEPARATORS.sub(" ", name).lower(): name for name in VOCABULARY}


def clean_name(name: str) -> str:
    """Strip spaces, paired quotes and trailing commas from a name."""
    while True:
        stripped = name.strip().rstrip(",").rstrip()  # BIDMC's headers have commas after names
        if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'`":
            stripped = stripped[1:-1]
        if stripped == name:
            return name
        name = stripped


def parse_channel_name(name: str) -> str | None:
    """Return the canonical name of a spelling; None if it is ambiguous or unknown."""
    text = unicodedata.normalize("NFKC", name).translate(_HYPHENS).lower()
    if len(text) > _MAX_LENGTH or "," in text:
        return None
    unit = _BRACKETED_UNIT.match(text)
    if unit and is_known_unit(unit[2]) and (len(unit[2]) > 1 or unit[2] in "v%"):
        return parse_channel_name(unit[1])
    if _SIGN.search(text):
        return None
    words = " ".join(_SEPARATORS.sub(" ", _join_references(text)).split())
    words = words.removeprefix("mdc ")  # ISO 11073 writes MDC_ECG_LEAD_II
    if words in _NAMES:
        return _NAMES[words]
    return _ALIASES.get(words) or _parse_lead(words) or _parse_eog(words) or _parse_electrode(words)


def is_bare_electrode_name(name: str) -> bool:
    """Return whether a name is a scalp position without a mention of EEG."""
    text = " ".join(_SEPARATORS.sub(" ", name).lower().split())
    return text in _EEG_POSITIONS


def parse_reference(name: str) -> str:
    """Return the reference of an electrode, in upper case; '' if not specified."""
    words = " ".join(_SEPARATORS.sub(" ", _join_references(name.lower())).split())
    electrode, _, reference = words.removeprefix("eeg").strip().partition(" ")
    return (reference or _split_compound(electrode)[1]).upper()


def _join_references(text: str) -> str:
    """Replace '(A1+A2)/2' by 'a1a2'."""
    return _MEAN_REFERENCE.sub(r"\1\2", text)


def _parse_lead(words: str) -> str | None:
    """Parse an ECG lead: 'ii', 'lead ii', 'ecg lead ii', 'ii ecg', 'ecgii'."""
    electrode, ecg_terms = words, set()
    while word := next((w for w in _ECG_TERMS if electrode.startswith(w)), None):
        electrode = electrode.removeprefix(word).strip()
        ecg_terms.add(word)
    while word := next((w for w in _ECG_TERMS if electrode.endswith(f" {w}")), None):
        electrode = electrode.removesuffix(word).strip()
        ecg_terms.add(word)
    if electrode in _LEADS:
        return _LEADS[electrode]
    # 'D2' and 'Lead V' alone may not be ECG leads.
    if not ecg_terms & {"ecg", "ekg"}:
        return None
    return _LEADS_OF_ECG.get(electrode) or _MODIFIED_LEADS.get(electrode)


def _parse_eog(words: str) -> str | None:
    """Parse an EOG referenced to an ear or mastoid: 'e1 m2', 'loc a2', 'eog roc a1'."""
    electrode, _, reference = words.removeprefix("eog ").partition(" ")
    return _EYES.get(electrode) if reference in _REFERENCES else None


def _parse_electrode(words: str) -> str | None:
    """Parse an EEG electrode, with or without its reference."""
    rest = words.removeprefix("eeg").strip()
    if rest in ("fpz cz", "pz oz"):
        return "EEG_" + rest.upper().replace(" ", "_")
    electrode, _, reference = rest.partition(" ")
    if not reference:
        electrode, reference = _split_compound(electrode)
    if electrode not in _EEG_POSITIONS or (reference and reference not in _REFERENCES):
        return None
    if electrode in _REFERENCE_POSITIONS and reference[:2] in _REFERENCE_POSITIONS:
        return None  # two references
    return f"EEG_{_EEG_POSITIONS[electrode]}"


def _split_compound(word: str) -> tuple[str, str]:
    """Split 'c4a1' into an electrode and its reference."""
    if word in _EEG_POSITIONS or word[-2:] not in _REFERENCE_POSITIONS:
        return word, ""
    return word[:-2], word[-2:]
