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
# Leads beyond the twelve, and chest leads of monitors, of unknown or modified position.
_OTHER_LEAD = re.compile(r"V|MCL\d?|V[789]|V[34]R|V[XYZ]")
_ANY_ECG = ("II", "ECG", "I", "V5", "V2", "V1", "III", "aVF", "aVL", "aVR", "V3", "V4", "V6")

# Channel sets by name. Of alternatives, the first that a recording has is used.
CHANNEL_PRESETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "12_lead": tuple((lead,) for lead in TWELVE_LEADS),
    "ecg_ppg": (_ANY_ECG, ("PPG",)),
    "ppg_only": (("PPG",),),
    "ecg_only": (_ANY_ECG,),
    "default_5ch": (_ANY_ECG, ("ACC_X",), ("ACC_Y",), ("ACC_Z",), ("PPG",)),
}

_POSITIONS = {name: index for index, name in enumerate(VOCABULARY)}
# What the name of a scalp position may mean instead: oxygen, a pressure, a temperature.
_ALSO_OTHERS = ("o2", "p1", "p2", "p3", "p4", "t1", "t2")
# IEC code names of the chest leads V1 to V6.
_CHEST = ("c1", "c2", "c3", "c4", "c5", "c6")
_NUMBERED = re.compile(r"([a-z])(\d+)")
# Limits of the channel list in an error message.
_SHOWN = 40
_MAX_SHOWN_LENGTH = 60


@functools.lru_cache(maxsize=8192)
def canonical_name(name: str) -> str:
    """Return the canonical spelling of a channel; an unknown name is returned stripped."""
    stripped = spellings.bare(name)
    return spellings.understood(stripped) or stripped


def is_ecg(name: str) -> bool:
    """Return whether a channel is an electrocardiogram, modified chest leads included."""
    canonical = canonical_name(name)
    return canonical in ECG_CHANNELS or _OTHER_LEAD.fullmatch(canonical.upper()) is not None


def channel_id(name: str) -> int:
    """Return the index of a channel in ``VOCABULARY``; 0 ("unknown") for other names."""
    return _place(canonical_name(name))


def trained_channel_id(name: str) -> int:
    """Return the channel id of a name as spelled in the specification of a trained model.

    A spelling that is recognised now but was not at training time stays "unknown" (0).
    """
    return _place(name)


def unidentified(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names without a vocabulary id: a model cannot distinguish such channels."""
    return tuple(name for name in names if not channel_id(name))


def names_of_recording(names: Sequence[str], units: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the canonical names of the channels of one recording.

    Units and neighbouring channels resolve ambiguous names: 'P3' in mmHg is a pressure, 'O2'
    beside 'CO2' a gas, 'C1' to 'C6' beside 'II' are chest leads, and 'A1' beside 'A5' is an
    input of a converter. Such a name is returned as '<name> (not EEG)', without a vocabulary id.
    An electrode recorded against two references becomes 'EEG_C3 vs A1' and 'EEG_C3 vs A2'.

    Args:
        names: Names [M] as spelled in the file, of channels recorded together.
        units: Unit of each channel; empty if unknown.
    """
    found = [canonical_name(name) for name in names]
    known_units = [canonical_unit(unit) for unit in units] or [""] * len(names)
    bare = [spellings.bare(name) for name in names]
    indices = [row for row, name in enumerate(bare) if spellings.names_an_electrode_only(name)]
    if indices:
        others = _others(bare, found)
        for row in indices:
            unit = known_units[row]
            if (unit and unit != COUNTS and not is_voltage(unit)) or bare[row].lower() in others:
                found[row] = f"{bare[row]} (not EEG)"
    counts = Counter(found)
    for row, name in enumerate(found):
        if name.startswith("EEG_") and counts[name] > 1:
            reference = spellings.reference_of(bare[row])
            found[row] = f"{name} vs {reference}" if reference else name
    return tuple(found)


def _others(names: Sequence[str], found: Sequence[str]) -> set[str]:
    """Return the lower-case scalp positions that the neighbouring names rule out."""
    lower = [name.lower() for name in names]
    numbered = [match for name in lower if (match := _NUMBERED.fullmatch(name))]
    # One letter numbered beyond the positions of the 10-20 system is another system.
    foreign = {m[1] for m in numbered if not spellings.names_an_electrode_only(m[0])}
    others = {match[0] for match in numbered if match[1] in foreign}
    if set(found) & set(TWELVE_LEADS[:6]):
        electrodes = {n for n, f in zip(lower, found, strict=True) if f.startswith("EEG")}
        others |= electrodes if electrodes <= set(_CHEST) else set()
    beside = {f for n, f in zip(lower, found, strict=True) if n not in _ALSO_OTHERS}
    is_eeg = any(name.startswith(("EEG", "EOG")) for name in beside)
    return others | (set(_ALSO_OTHERS) if beside & _POSITIONS.keys() and not is_eeg else set())


def _place(canonical: str) -> int:
    return _POSITIONS.get(canonical, 0)


def select_channels(wanted: str, present: Sequence[str]) -> tuple[str, ...]:
    """Resolve a channel preset or list against the channels of a data set.

    Args:
        wanted: Key of ``CHANNEL_PRESETS``, names separated by commas, or '' for all.
        present: Canonical channel names of the data set, in its order.

    Returns:
        Canonical names in the model's order: of a preset only those present, of a list all
        names, present or not.

    Raises:
        DataError: No channel of the preset is present, or a name is listed twice.
    """
    if not wanted.strip():
        return tuple(present)
    if wanted.strip() in CHANNEL_PRESETS:
        chosen = [
            next((name for name in alternatives if name in present), None)
            for alternatives in CHANNEL_PRESETS[wanted.strip()]
        ]
        found = tuple(name for name in chosen if name is not None)
        if not found:
            preset = ", ".join(names[0] for names in CHANNEL_PRESETS[wanted.strip()])
            raise DataError(
                f"channels={wanted!r} requires {preset}; the data has {', '.join(present)}. "
                "List channel names instead."
            )
        return found
    names = tuple(canonical_name(name) for name in wanted.split(",") if name.strip())
    if len(set(names)) < len(names):
        raise DataError(f"channels={wanted!r} lists a channel twice ({', '.join(names)}).")
    return names


def unknown_channel_message(name: str, present: Sequence[str], where: str) -> str:
    """Format the error for a missing channel, with the most similar names."""
    near = difflib.get_close_matches(name.lower(), [c.lower() for c in present], n=3, cutoff=0.4)
    near = [c for c in present if c.lower() in near]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    shown = ", ".join(channel[:_MAX_SHOWN_LENGTH] for channel in present[:_SHOWN])
    more = f" and {len(present) - _SHOWN} more" if len(present) > _SHOWN else ""
    return f"channel {name!r} is not in {where}; it has {shown}{more}.{hint}"
