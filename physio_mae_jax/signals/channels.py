"""Canonical names of physiological channels, and their vocabulary ids."""

import difflib
import functools
import re
from collections import Counter
from collections.abc import Sequence

from physio_mae_jax.errors import DataError
from physio_mae_jax.signals import spellings
from physio_mae_jax.signals.units import COUNTS, canonical_unit, is_voltage
from physio_mae_jax.signals.vocabulary import TEN_TWENTY, TWELVE_LEADS, VOCABULARY

__all__ = ["TEN_TWENTY", "TWELVE_LEADS", "VOCABULARY"]

# ECG leads, and an ECG of unknown lead.
ECG_CHANNELS = (*TWELVE_LEADS, "ECG")
# Leads beyond the twelve, and monitor chest leads with unknown or modified position.
_OTHER_LEAD = re.compile(r"V|MCL\d?|V[789]|V[34]R|V[XYZ]")
_ANY_ECG = ("II", "ECG", "I", "V5", "V2", "V1", "III", "aVF", "aVL", "aVR", "V3", "V4", "V6")

# Channel sets by name; of alternatives, the first one present in a recording is used.
CHANNEL_PRESETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "12_lead": tuple((lead,) for lead in TWELVE_LEADS),
    "ecg_ppg": (_ANY_ECG, ("PPG",)),
    "ppg_only": (("PPG",),),
    "ecg_only": (_ANY_ECG,),
    "default_5ch": (_ANY_ECG, ("ACC_X",), ("ACC_Y",), ("ACC_Z",), ("PPG",)),
}

_POSITIONS = {name: index for index, name in enumerate(VOCABULARY)}
# Names of EEG electrodes that may also be a gas concentration, a pressure or a temperature.
_AMBIGUOUS_NAMES = ("o2", "p1", "p2", "p3", "p4", "t1", "t2")
# IEC code names of the chest leads V1 to V6.
_IEC_CHEST_LEADS = ("c1", "c2", "c3", "c4", "c5", "c6")
_NUMBERED = re.compile(r"([a-z])(\d+)")
# Limits of the channel list in an error message.
_SHOWN = 40
_MAX_SHOWN_LENGTH = 60


@functools.lru_cache(maxsize=8192)
def canonical_name(name: str) -> str:
    """Return the canonical spelling of a channel; an unknown name is returned stripped."""
    stripped = spellings.clean_name(name)
    return spellings.parse_channel_name(stripped) or stripped


def is_ecg(name: str) -> bool:
    """Return whether a channel is an electrocardiogram, including modified chest leads."""
    canonical = canonical_name(name)
    return canonical in ECG_CHANNELS or _OTHER_LEAD.fullmatch(canonical.upper()) is not None


def channel_id(name: str) -> int:
    """Return the index of a channel in ``VOCABULARY``; 0 ("unknown") for other names."""
    return _vocabulary_index(canonical_name(name))


def trained_channel_id(name: str) -> int:
    """Return the channel id of a name as spelled in the specification of a trained model.

    A spelling that was added to the vocabulary after training remains "unknown" (0).
    """
    return _vocabulary_index(name)


def find_unidentified(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names without a vocabulary id, which a model cannot distinguish."""
    return tuple(name for name in names if not channel_id(name))


def resolve_recording_names(names: Sequence[str], units: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the canonical names of the channels of one recording.

    Units and neighboring channels resolve ambiguous names: 'P3' in mmHg is a pressure, 'O2' beside
    'CO2' is a gas concentration, 'C1' to 'C6' beside 'II' are chest leads, and 'A1' beside 'A5' is
    an ADC channel. Such a name is returned as '<name> (not EEG)', without a vocabulary id. An
    electrode recorded with two references becomes 'EEG_C3 vs A1' and 'EEG_C3 vs A2'.

    Args:
        names: Names [M] as spelled in the file, of channels recorded together.
        units: Unit of each channel; empty if unknown.
    """
    found = [canonical_name(name) for name in names]
    known_units = [canonical_unit(unit) for unit in units] or [""] * len(names)
    clean_names = [spellings.clean_name(name) for name in names]
    indices = [
        row for row, name in enumerate(clean_names) if spellings.is_bare_electrode_name(name)
    ]
    if indices:
        non_eeg_names = _find_non_eeg_names(clean_names, found)
        for row in indices:
            unit = known_units[row]
            if (unit and unit != COUNTS and not is_voltage(unit)) or clean_names[
                row
            ].lower() in non_eeg_names:
                found[row] = f"{clean_names[row]} (not EEG)"
    counts = Counter(found)
    for row, name in enumerate(found):
        if name.startswith("EEG_") and counts[name] > 1:
            reference = spellings.parse_reference(clean_names[row])
            found[row] = f"{name} vs {reference}" if reference else name
    return tuple(found)


def _find_non_eeg_names(names: Sequence[str], found: Sequence[str]) -> set[str]:
    """Return the names, in lower case, that are not EEG electrodes given the other channels.

    Args:
        names: Names [M] as spelled in the file, without decoration.
        found: Canonical name of each.
    """
    lower = [name.lower() for name in names]
    numbered_names = [match for name in lower if (match := _NUMBERED.fullmatch(name))]
    # If a letter occurs with a number that the 10-20 system lacks, as in A5, none with that letter
    # is an electrode.
    non_eeg_letters = {m[1] for m in numbered_names if not spellings.is_bare_electrode_name(m[0])}
    non_eeg_names = {match[0] for match in numbered_names if match[1] in non_eeg_letters}
    if set(found) & set(TWELVE_LEADS[:6]):
        electrodes = {n for n, f in zip(lower, found, strict=True) if f.startswith("EEG")}
        non_eeg_names |= electrodes if electrodes <= set(_IEC_CHEST_LEADS) else set()
    neighbors = {f for n, f in zip(lower, found, strict=True) if n not in _AMBIGUOUS_NAMES}
    is_eeg = any(name.startswith(("EEG", "EOG")) for name in neighbors)
    return non_eeg_names | (
        set(_AMBIGUOUS_NAMES) if neighbors & _POSITIONS.keys() and not is_eeg else set()
    )


def _vocabulary_index(canonical: str) -> int:
    return _POSITIONS.get(canonical, 0)


def select_channels(requested: str, present: Sequence[str]) -> tuple[str, ...]:
    """Resolve a channel preset or list against the channels of a data set.

    Args:
        requested: Key of ``CHANNEL_PRESETS``, names separated by commas, or '' for all.
        present: Canonical channel names of the data set, in its order.

    Returns:
        Canonical names in the model's order: for a preset only those present, for a list all
        names, present or not.

    Raises:
        DataError: No channel of the preset is present, or a name is listed twice.
    """
    if not requested.strip():
        return tuple(present)
    if requested.strip() in CHANNEL_PRESETS:
        chosen = [
            next((name for name in alternatives if name in present), None)
            for alternatives in CHANNEL_PRESETS[requested.strip()]
        ]
        found = tuple(name for name in chosen if name is not None)
        if not found:
            preset = ", ".join(names[0] for names in CHANNEL_PRESETS[requested.strip()])
            raise DataError(
                f"channels={requested!r} requires {preset}; the data has {', '.join(present)}. "
                "List channel names instead."
            )
        return found
    names = tuple(canonical_name(name) for name in requested.split(",") if name.strip())
    if len(set(names)) < len(names):
        raise DataError(
            f"channels={requested!r} lists a channel more than once ({', '.join(names)})."
        )
    return names


def unknown_channel_message(name: str, present: Sequence[str], where: str) -> str:
    """Format the error for a missing channel, with the most similar names."""
    near = difflib.get_close_matches(name.lower(), [c.lower() for c in present], n=3, cutoff=0.4)
    near = [c for c in present if c.lower() in near]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    shown = ", ".join(channel[:_MAX_SHOWN_LENGTH] for channel in present[:_SHOWN])
    more = f" and {len(present) - _SHOWN} more" if len(present) > _SHOWN else ""
    return f"channel {name!r} is not in {where}; it has {shown}{more}.{hint}"
