"""Names of physiological channels: one canonical spelling, the aliases seen in the wild, and ids.

The ids index the learned channel identities of a model, so ``VOCABULARY`` may only ever be
appended to: a changed order would silently re-label the channels of a trained checkpoint.
"""

import difflib
import re
from collections.abc import Sequence

from physio_mae_jax.errors import DataError

TWELVE_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# Electrodes of the international 10-20 system.
TEN_TWENTY = (
    *("FP1", "FP2", "F3", "F4", "F7", "F8", "FZ", "C3", "C4", "CZ", "T3", "T4"),
    *("T5", "T6", "P3", "P4", "PZ", "O1", "O2", "OZ", "A1", "A2", "M1", "M2"),
)

# Id 0 is every channel whose name is not listed.
VOCABULARY = (
    "unknown",
    *TWELVE_LEADS,
    "PPG",
    "EEG",
    "RESP",
    "ACC_X",
    "ACC_Y",
    "ACC_Z",
    "EDA",
    "TEMP",
    "ABP",
    "EOG",
    "EMG",
    "ECG",
    "SPO2",
    "CVP",
    "ICP",
    "EEG_FPZ_CZ",
    "EEG_PZ_OZ",
    *(f"EEG_{place}" for place in TEN_TWENTY),
)

# ECG leads, and an ECG of unknown lead.
ECG_CHANNELS = (*TWELVE_LEADS, "ECG")
# Chest leads of monitors, of unknown or modified place.
_MONITOR_LEAD = re.compile(r"V|MCL\d?")
_ANY_ECG = ("II", "ECG", "I", "V5", "V2", "V1", "III", "aVF", "aVL", "aVR", "V3", "V4", "V6")

# Sets of channels by name. Of alternatives the first that a recording has is taken.
POLICIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "12_lead": tuple((lead,) for lead in TWELVE_LEADS),
    "ecg_ppg": (_ANY_ECG, ("PPG",)),
    "ppg_only": (("PPG",),),
    "ecg_only": (_ANY_ECG,),
    "default_5ch": (_ANY_ECG, ("ACC_X",), ("ACC_Y",), ("ACC_Z",), ("PPG",)),
}

# Spellings of PhysioNet, Empatica and others; the same electrode or sensor, so exact.
_ALIASES = {
    "mlii": "II",
    "pleth": "PPG",
    "bvp": "PPG",
    "acc x": "ACC_X",
    "acc y": "ACC_Y",
    "acc z": "ACC_Z",
    "gsr": "EDA",
    "ekg": "ECG",
    "spo2": "SPO2",
    "sao2": "SPO2",
    "ml2": "II",
    "mliii": "III",
    "ml5": "V5",
    "mv1": "V1",
    "eeg fpz-cz": "EEG_FPZ_CZ",
    "eeg pz-oz": "EEG_PZ_OZ",
    "eog horizontal": "EOG",
    "emg submental": "EMG",
    "resp oro-nasal": "RESP",
    "temp rectal": "TEMP",
    "ii-ecg": "II",
}
_ALIASES |= {f"eeg {place.lower()}": f"EEG_{place}" for place in TEN_TWENTY}
_ALIASES |= {f"lead {lead.lower()}": lead for lead in TWELVE_LEADS}
_ALIASES |= {f"ecg {lead.lower()}": lead for lead in TWELVE_LEADS}
_CANONICAL = {name.lower(): name for name in VOCABULARY} | _ALIASES


def canonical_name(name: str) -> str:
    """Return the canonical spelling of a channel; a name not known here is returned stripped."""
    stripped = name.strip().rstrip(",").rstrip()  # BIDMC's headers have commas after names
    return _CANONICAL.get(stripped.lower(), stripped)


def is_ecg(name: str) -> bool:
    """Say whether a channel is an electrocardiogram, modified chest leads included."""
    canonical = canonical_name(name)
    return canonical in ECG_CHANNELS or _MONITOR_LEAD.fullmatch(canonical.upper()) is not None


def channel_id(name: str) -> int:
    """Return the place of a channel in ``VOCABULARY``; 0 ("unknown") for other names."""
    canonical = canonical_name(name)
    return VOCABULARY.index(canonical) if canonical in VOCABULARY else 0


def wanted_channels(wanted: str, present: Sequence[str]) -> tuple[str, ...]:
    """Say which channels a policy or list asks for among those of a data set.

    Args:
        wanted: a key of ``POLICIES``, names separated by commas, or '' for all.
        present: canonical names that the data set has, in its order.

    Returns:
        Canonical names in the model's order; of a policy only those that are present, of a list
        all that are named, present or not.

    Raises:
        DataError: nothing of the policy is present, or a name is listed twice.
    """
    if not wanted.strip():
        return tuple(present)
    if wanted.strip() in POLICIES:
        chosen = [
            next((name for name in alternatives if name in present), None)
            for alternatives in POLICIES[wanted.strip()]
        ]
        found = tuple(name for name in chosen if name is not None)
        if not found:
            raise DataError(
                f"channels {wanted!r} asks for {', '.join(a[0] for a in POLICIES[wanted.strip()])}"
                f", but the data has {', '.join(present)}; name channels instead."
            )
        return found
    names = tuple(canonical_name(name) for name in wanted.split(",") if name.strip())
    if len(set(names)) < len(names):
        raise DataError(f"channels {wanted!r} names one channel twice ({', '.join(names)}).")
    return names


def unknown_channel_message(name: str, present: Sequence[str], where: str) -> str:
    """Word the error for a channel that a recording lacks, with the names nearest to it."""
    near = difflib.get_close_matches(name.lower(), [c.lower() for c in present], n=3, cutoff=0.4)
    near = [c for c in present if c.lower() in near]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"channel {name!r} is not in {where}; it has {', '.join(present)}.{hint}"
