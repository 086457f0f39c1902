"""Names of physiological channels: one canonical spelling, the aliases seen in the wild, and ids.

The ids index the learned channel identities of a model, so ``VOCABULARY`` may only ever be
appended to: a changed order would silently re-label the channels of a trained checkpoint.
"""

import difflib
from collections.abc import Sequence

from physio_mae_jax.errors import DataError

TWELVE_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

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
)

# Spellings of PhysioNet, Empatica and others; the same electrode or sensor, so exact.
_ALIASES = {
    "mlii": "II",
    "pleth": "PPG",
    "bvp": "PPG",
    "ecg i": "I",
    "ecg ii": "II",
    "lead i": "I",
    "lead ii": "II",
    "acc x": "ACC_X",
    "acc y": "ACC_Y",
    "acc z": "ACC_Z",
    "gsr": "EDA",
}
_CANONICAL = {name.lower(): name for name in VOCABULARY} | _ALIASES


def canonical_name(name: str) -> str:
    """Return the canonical spelling of a channel; a name not known here is returned stripped."""
    stripped = name.strip()
    return _CANONICAL.get(stripped.lower(), stripped)


def channel_id(name: str) -> int:
    """Return the place of a channel in ``VOCABULARY``; 0 ("unknown") for other names."""
    canonical = canonical_name(name)
    return VOCABULARY.index(canonical) if canonical in VOCABULARY else 0


def select_channels(wanted: Sequence[str], present: Sequence[str], where: str) -> list[int | None]:
    """Find each wanted channel among the present ones, by canonical name.

    Args:
        wanted: names, in the order the model shall see them.
        present: names of the channels that a recording has, in its order.
        where: what the recording is called in an error.

    Returns:
        For each wanted name its index in ``present``, or None where the recording lacks it.

    Raises:
        DataError: two present channels bear the same canonical name and it is wanted.
    """
    names = [canonical_name(name) for name in present]
    indices: list[int | None] = []
    for name in map(canonical_name, wanted):
        if names.count(name) > 1:
            raise DataError(
                f"{where} has {names.count(name)} channels named {name!r} "
                f"({', '.join(present)}); rename them in the manifest."
            )
        indices.append(names.index(name) if name in names else None)
    return indices


def unknown_channel_message(name: str, present: Sequence[str], where: str) -> str:
    """Word the error for a channel that a recording lacks, with the names nearest to it."""
    near = difflib.get_close_matches(name.lower(), [c.lower() for c in present], n=3, cutoff=0.4)
    near = [c for c in present if c.lower() in near]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"channel {name!r} is not in {where}; it has {', '.join(present)}.{hint}"
