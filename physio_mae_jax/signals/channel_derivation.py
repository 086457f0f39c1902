"""Mapping the channels of a recording to those of a model: selection, derivation, units.

Only exact mappings are used: synonyms of an electrode, units of the same quantity, and limb leads
that follow from two others by Einthoven's and Goldberger's equations. Other channels are absent and
masked in the model's input.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.units import canonical_unit, is_known_unit, unit_factor

# III = II - I; aVR = -(I + II) / 2; aVL = I - II / 2; aVF = II - I / 2 and their inversions.
_DERIVED: dict[str, tuple[tuple[tuple[str, float], ...], ...]] = {
    "I": ((("II", 1.0), ("III", -1.0)),),
    "II": ((("I", 1.0), ("III", 1.0)),),
    "III": ((("II", 1.0), ("I", -1.0)),),
    "aVR": ((("I", -0.5), ("II", -0.5)),),
    "aVL": ((("I", 1.0), ("II", -0.5)),),
    "aVF": ((("II", 1.0), ("I", -0.5)),),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChannelDerivation:
    """A linear map from the rows of a recording to the requested channels.

    Attributes:
        rows: (row, factor) terms of each requested channel; empty if it is absent.
        notes: Derivations and unit conversions applied, one sentence each.
    """

    rows: tuple[tuple[tuple[int, float], ...], ...]
    notes: tuple[str, ...]

    @functools.cached_property
    def sources(self) -> tuple[int, ...]:
        """Required rows of the recording, ascending."""
        return tuple(sorted({row for terms in self.rows for row, _ in terms}))

    @functools.cached_property
    def selected_rows(self) -> np.ndarray | None:
        """The row of each channel if all are unmodified rows of the recording, else None."""
        selected = [terms[0][0] for terms in self.rows if len(terms) == 1 and terms[0][1] == 1.0]
        return np.asarray(selected, np.intp) if len(selected) == len(self.rows) else None

    @functools.cached_property
    def selection(self) -> slice | np.ndarray | None:
        """``selected_rows``, as a slice if they are consecutive."""
        rows = self.selected_rows
        if rows is None or not len(rows) or (np.diff(rows) != 1).any():
            return rows
        return slice(int(rows[0]), int(rows[-1]) + 1)

    def apply(self, signal: np.ndarray) -> np.ndarray:
        """Map [M, n] to [target, n] of the same type; absent channels are all zero."""
        if self.selected_rows is not None:
            return signal[self.selected_rows]
        result = np.zeros((len(self.rows), signal.shape[1]), signal.dtype)
        for channel, terms in enumerate(self.rows):
            for row, factor in terms:
                result[channel] += (
                    signal[row] if factor == 1.0 else signal.dtype.type(factor) * signal[row]
                )
        return result


def derive_channels(
    target_names: Sequence[str],
    present: Sequence[str],
    where: str,
    *,
    target_units: Sequence[str] = (),
    present_units: Sequence[str] = (),
) -> ChannelDerivation:
    """Derive the linear map from the present channels to the target ones.

    Args:
        target_names: Canonical channel names in the model's order.
        present: Names of the recording's rows, as spelled there.
        where: Name of the recording in error messages.
        target_units: Unit of each target channel, in any spelling; '' accepts any. Default: any.
        present_units: Unit of each present channel; '' if unknown. Default: unknown.

    Raises:
        DataError: two rows have the same target name, a row is in a unit of another quantity, or a
            lead is derived from leads with unknown units.
    """
    names = [canonical_name(name) for name in present]
    counts = Counter(names)
    row_by_name = {name: row for row, name in enumerate(names) if counts[name] == 1}
    parsed_units = [canonical_unit(unit) for unit in target_units] or [""] * len(target_names)
    units_present = [canonical_unit(unit) for unit in present_units] or [""] * len(present)
    rows, notes = [], []
    for name, unit in zip(map(canonical_name, target_names), parsed_units, strict=True):
        if counts[name] > 1:
            raise DataError(
                f"{where} has {counts[name]} channels named {name!r} "
                f"({', '.join(present)}); rename them in the manifest."
            )
        terms, note = _find_terms(name, row_by_name)
        source_units = [units_present[row] for row, _ in terms]
        if len(terms) > 1:
            unit = unit or _largest_unit(source_units)
            _check_derived(name, [present[row] for row, _ in terms], source_units, where)
        converted = []
        for row, factor in terms:
            conversion = _conversion_factor(units_present[row], unit, present[row], where)
            if conversion != 1.0:
                notes.append(f"{name}: {units_present[row]} × {conversion:g} = {unit}")
            converted.append((row, factor * conversion))
        rows.append(tuple(converted))
        if note:
            notes.append(note)
    return ChannelDerivation(rows=tuple(rows), notes=tuple(dict.fromkeys(notes)))


def derived_units(units: Mapping[str, str]) -> dict[str, str]:
    """Return the units of the limb leads that can be derived from channels with known units.

    Args:
        units: Unit of each channel in its usual spelling, by canonical name.
    """
    found = {}
    for name, formulas in _DERIVED.items():
        for formula in formulas:
            source_units = [units[source] for source, _ in formula if units.get(source)]
            if len(source_units) == len(formula):
                found[name] = _largest_unit(source_units)
    return found


def _largest_unit(units: Sequence[str]) -> str:
    """Return the largest unit; the first if they are of different quantities."""
    largest = units[0]
    for unit in units[1:]:
        if (unit_factor(unit, largest) or 0) > 1:
            largest = unit
    return largest


def _check_derived(name: str, sources: Sequence[str], units: Sequence[str], where: str) -> None:
    """Raise unless the source channels share one quantity, or all units are unknown."""
    listed = ", ".join(
        f"{source} in {unit or 'an unknown unit'}"
        for source, unit in zip(sources, units, strict=True)
    )
    known = [is_known_unit(unit) for unit in units]
    if len(set(units)) > 1 and not all(known):
        raise DataError(
            f"{where}: {name} is missing and cannot be derived from {listed}; set the unit in the "
            "manifest ('units'), or exclude the channel."
        )
    if len({unit_factor(unit, units[0]) is None for unit in units}) > 1:
        raise DataError(
            f"{where}: {name} is missing and cannot be derived from {listed}, which are different "
            "quantities; check their names and units, or exclude the channel."
        )


def _find_terms(name: str, rows: Mapping[str, int]) -> tuple[list[tuple[int, float]], str]:
    """Find the row of a channel, or derive it; return its terms and a note."""
    if name in rows:
        return [(rows[name], 1.0)], ""
    for formula in _DERIVED.get(name, ()):
        if all(source in rows for source, _ in formula):
            formula_text = " ".join(f"{factor:+g} {source}" for source, factor in formula)
            return [
                (rows[source], factor) for source, factor in formula
            ], f"{name} = {formula_text}"
    return [], ""


def _conversion_factor(unit: str, target_unit: str, name: str, where: str) -> float:
    """Return the conversion factor between units; 1 if either is unknown."""
    if not (is_known_unit(unit) and is_known_unit(target_unit)):
        return 1.0
    factor = unit_factor(unit, target_unit)
    if factor is None:
        raise DataError(
            f"{where}: channel {name!r} must be in {target_unit} or a unit of the same quantity; "
            f"got {unit}. Check the channel's name and unit."
        )
    return factor
