"""Converting each channel of a data set to one unit."""

from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.data.prepared_index import PreparedRecord
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.units import is_known_unit, unit_factor


def choose_channel_units(
    files: Sequence[tuple[str, Sequence[str], Sequence[str]]],
) -> dict[str, str]:
    """Choose the unit of each channel: the first that is known.

    Args:
        files: Name, canonical channel names and units of each file.

    Raises:
        DataError: a channel is in units of different quantities; both files are named.
    """
    chosen: dict[str, tuple[str, str]] = {}
    for name, channels, units in files:
        for channel, unit in zip(channels, units, strict=True):
            if not is_known_unit(unit):
                continue
            first, where = chosen.setdefault(channel, (unit, name))
            if unit_factor(unit, first) is None:
                raise DataError(
                    f"channel {channel} is in {first} in {where} and in {unit} in {name}, which "
                    "are different quantities and cannot be converted. Correct "
                    "the unit in the file, rename one of the channels in the manifest's "
                    "'channels', or prepare the files of each unit separately."
                )
    return {channel: unit for channel, (unit, _) in chosen.items()}


def convert_units(
    signal: np.ndarray,
    channels: Sequence[str],
    units: Sequence[str],
    target_units: Mapping[str, str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Convert the channels of a recording to their units, in place.

    Args:
        signal: Samples [M, n] float32.
        channels, units: Channel names and units [M].
        target_units: Mapping of channel to unit; a channel in an unknown unit is unchanged.

    Returns:
        The new units [M], and the conversions, one sentence each.
    """
    new_units, notes = list(units), []
    for row, (channel, unit) in enumerate(zip(channels, units, strict=True)):
        target = target_units.get(channel, unit)
        factor = unit_factor(unit, target) if is_known_unit(unit) else None
        if factor is None or factor == 1.0:
            continue
        # Dividing by an integer power of ten is exact to the last digit in float32.
        signal[row] = signal[row] * factor if factor > 1 else signal[row] / round(1 / factor)
        new_units[row] = target
        notes.append(f"{channel}: {unit} × {factor:g} = {target}")
    return tuple(new_units), tuple(notes)


def collect_channel_units(records: Sequence[PreparedRecord], name: str) -> dict[str, str]:
    """Return the unit of each channel of a data set; '' if it is unknown in some recordings.

    Args:
        records: Records of the data set.
        name: Name of the data set, for the error.

    Raises:
        DataError: a channel is in several units.
    """
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for channel, unit in zip(record.channels, record.units, strict=True):
            found.setdefault(channel, {})[unit] = None
    for channel, units in found.items():
        known = sorted(filter(is_known_unit, units))
        if len(known) > 1:
            raise DataError(
                f"channel {channel} of {name} is in {' and '.join(known)}; one unit is needed. "
                "Prepare the recordings of each unit separately."
            )
    return {c: next(iter(units)) if len(units) == 1 else "" for c, units in found.items()}
