"""Joining file metadata with a manifest entry and the requested channels.

Pure functions without disk access. A channel that cannot be used (no name, a duplicate name, no
physical range, an invalid rate) makes the file unusable only if it is requested; otherwise it is
skipped.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax.data.formats.file_facts import (
    RATE_TOLERANCE,
    FileFacts,
    FileRecords,
    format_missing_facts,
    missing_facts,
    resolve_axes,
    select_file_channels,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry, find_file_subject
from physio_mae_jax.data.formats.origin import Origin, completed
from physio_mae_jax.data.subjects import subject_name
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channel_derivation import derive_channels
from physio_mae_jax.signals.channels import resolve_recording_names, select_channels
from physio_mae_jax.signals.rates import check_rate
from physio_mae_jax.signals.units import canonical_unit, is_unclear_unit

_SHOWN = 5
_NAMES_SHOWN = 30
_LONGEST_SHOWN = 60
_MAY_BE_UNIT = re.compile(r"[^\s,;]{1,6}")
_MAX_GROWTH = 16
_MANY_SAMPLES = 2**26


class _Channels(NamedTuple):
    """Channels of a file.

    Attributes:
        names: Channel names to use, as spelled in the file or manifest.
        columns: Index of each channel along the channel axis of the file.
        rates_hz: Sampling rate of each channel in Hz.
        units: Unit of each channel, see ``FileRecords``.
        canonical_names: Canonical name of each channel.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    rates_hz: tuple[float, ...]
    units: tuple[str, ...]
    canonical_names: tuple[str, ...]

    def select(self, columns: Sequence[int]) -> "_Channels":
        """Return the channels at these positions."""
        return _Channels(
            names=tuple(self.names[i] for i in columns),
            columns=tuple(self.columns[i] for i in columns),
            rates_hz=tuple(self.rates_hz[i] for i in columns),
            units=tuple(self.units[i] for i in columns),
            canonical_names=tuple(self.canonical_names[i] for i in columns),
        )


def resolve(
    facts: FileFacts, entry: ManifestEntry, path: Path, relative: Path, requested: str = ""
) -> FileRecords:
    """Join the facts of a file with its manifest entry.

    Args:
        facts: Facts read from the file.
        entry: Its manifest entry.
        path: Path under which the file is opened.
        relative: Path of the file relative to the folder.
        requested: Channels that will be used, see ``signals.channels.select_channels``; '' for all.

    Raises:
        DataError: metadata is missing, file and manifest contradict each other, or a
            requested channel cannot be used.
    """
    if missing := missing_facts(facts, entry):
        raise DataError(f"{path} {format_missing_facts(facts, missing)}; state it in the manifest.")
    axes = resolve_axes(facts, entry)
    assert facts.shape is not None
    assert axes is not None
    if len(axes) != len(facts.shape):
        raise DataError(
            f"{path}: axes {list(axes)} name {len(axes)} axes; the array has shape {facts.shape}."
        )
    sizes = dict(zip(axes, facts.shape, strict=True))
    listed = _listed_channels(facts, entry, path, sizes.get("channel", 1))
    chosen, unusable = _usable_channels(listed, facts, path, requested)
    highest_hz = max(chosen.rates_hz)
    rate_hz = _check_rate_agreement(highest_hz, entry, path)
    _reject_growth(facts, chosen.columns, path)
    num_records = sizes.get("record", 1)
    return FileRecords(
        path=path,
        shape=facts.shape,
        axes=axes,
        channel_names=chosen.canonical_names,
        columns=chosen.columns,
        sampling_rate_hz=rate_hz,
        num_samples=sizes["sample"] * _samples_per_frame(facts, chosen.columns),
        record_keys=_record_keys(facts, num_records, path) if "record" in axes else None,
        subjects=_subjects(facts, entry, num_records, path, relative),
        member=facts.member,
        units=chosen.units,
        stored_columns=facts.stored_columns,
        loaded_bytes=facts.loaded_bytes,
        companions=facts.companions,
        part_ends=facts.part_ends,
        interpolated=tuple(
            (name, own_hz)
            for name, own_hz in zip(chosen.canonical_names, chosen.rates_hz, strict=True)
            if own_hz != highest_hz
        ),
        unusable=unusable,
        notes=_notes(facts, entry),
        samples_per_frame=facts.samples_per_frame,
        origin=_origin(facts, entry, path, chosen.units),
        is_folder=facts.is_folder,
        start_time=facts.start_time,
    )


def _origin(facts: FileFacts, entry: ManifestEntry, path: Path, units: Sequence[str]) -> Origin:
    states_rate = (facts.sampling_rate_hz, facts.rates_hz) != (None, None)
    return completed(
        facts.origin,
        path.suffix.lower(),
        rate_by_manifest=not states_rate or bool(facts.rate_note and entry.sampling_rate_hz),
        # Of a file with names, a list alone only chooses.
        names_by_manifest=facts.channels is None or any(a != b for a, b in entry.channels or ()),
        units_by_file=bool(facts.units and any(facts.units) and any(units)),
        units_by_manifest=any(units),
    )


def _listed_channels(facts: FileFacts, entry: ManifestEntry, path: Path, size: int) -> _Channels:
    """Return the channels that the manifest lists, or all, with their rates."""
    names, columns = select_file_channels(entry, facts.channels, str(path))
    named = names if facts.channels is None else facts.channels
    if len(named) != size:
        raise DataError(
            f"{path}: {len(named)} channel names ({_enumerate(named)}) for {size} channels (shape "
            f"{facts.shape}, axes {', '.join(facts.axes or entry.axes or ('as found',))}); list "
            "one name per channel in 'channels' or correct 'axes'."
        )
    if not names:
        raise DataError(f"{path} has no channels; exclude it from the folder or manifest.")
    units = _units(facts, entry, columns)
    canonical_names = resolve_recording_names(names, units)
    stated = entry.sampling_rate_hz
    if facts.rates_hz is None:
        rate_hz = stated if facts.sampling_rate_hz is None else facts.sampling_rate_hz
        assert rate_hz is not None
        return _Channels(names, columns, (rate_hz,) * len(names), units, canonical_names)
    rates_hz = tuple(facts.rates_hz[column] for column in columns)
    if stated is not None and facts.rate_note:
        highest_hz = max(rates_hz)
        rates_hz = tuple(rate * stated / highest_hz for rate in rates_hz)
    return _Channels(names, columns, rates_hz, units, canonical_names)


def _usable_channels(
    listed: _Channels, facts: FileFacts, path: Path, requested: str
) -> tuple[_Channels, tuple[str, ...]]:
    """Drop channels that are not requested and either cannot be used or differ in rate.

    Returns:
        The channels to use, and the reasons why others cannot be used.

    Raises:
        DataError: a requested channel cannot be used, or none can.
    """
    problems = _find_problems(listed, facts, path)
    usable = [i for i in range(len(listed.names)) if i not in problems]
    needed = _find_needed(listed.canonical_names, requested)
    conflicting = [problems[i] for i in (needed or range(len(listed.names))) if i in problems]
    if conflicting and (needed or not requested.strip() or not usable):
        raise DataError(_join_sentences(conflicting))
    rates_hz = {listed.rates_hz[i] for i in needed or usable}
    highest_hz = max(rates_hz)
    kept = [i for i in usable if not needed or i in needed or listed.rates_hz[i] == highest_hz]
    return listed.select(kept), tuple(dict.fromkeys(problems.values()))


def _find_problems(listed: _Channels, facts: FileFacts, path: Path) -> dict[int, str]:
    """Return the positions of unusable channels and the reason for each."""
    found: dict[int, str] = {}
    counts = Counter(listed.canonical_names)
    all_names = _enumerate(listed.names)
    for i, (name, column) in enumerate(zip(listed.names, listed.columns, strict=True)):
        canonical = listed.canonical_names[i]
        if column in facts.unusable:
            found[i] = facts.unusable[column]
        elif not name.strip():
            found[i] = (
                f"{path} has a channel without a name, number {column + 1} of "
                f"{len(facts.channels or listed.names)}; name all of them, in order, in the "
                "manifest's 'channels'."
            )
        elif counts[canonical] > 1:
            found[i] = (
                f"{path} has {counts[canonical]} channels named {canonical!r} ({all_names}); "
                "rename them in the manifest's 'channels'."
            )
    by_rate: dict[float, list[int]] = defaultdict(list)
    for i, rate_hz in enumerate(listed.rates_hz):
        if i not in found and _rate_problem(rate_hz, [listed.canonical_names[i]], path):
            by_rate[rate_hz].append(i)
    for rate_hz, positions in by_rate.items():
        # One sentence for all channels with the same rate.
        problem = _rate_problem(rate_hz, [listed.canonical_names[i] for i in positions], path)
        found |= dict.fromkeys(positions, problem)
    return found


def _rate_problem(rate_hz: float, names: Sequence[str], path: Path) -> str:
    try:
        check_rate(rate_hz, names, str(path))
    except DataError as error:
        return str(error)
    return ""


def _find_needed(names: Sequence[str], requested: str) -> tuple[int, ...]:
    """Return the positions of the channels needed for the requested ones; empty for all."""
    try:
        chosen = select_channels(requested, names) if requested.strip() else ()
    except DataError:
        return ()
    needed: set[int] = set()
    counts = Counter(names)
    distinct = [name for name in names if counts[name] == 1]
    for name in chosen:
        if name in names:
            needed |= {i for i, present in enumerate(names) if present == name}
        else:
            sources = derive_channels((name,), distinct, "the file").sources
            needed |= {names.index(distinct[row]) for row in sources}
    return tuple(sorted(needed))


def _enumerate(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(name[:_LONGEST_SHOWN] for name in names[:_NAMES_SHOWN]) + more


def _join_sentences(problems: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(problems))
    more = f" (and {len(distinct) - _SHOWN} more)" if len(distinct) > _SHOWN else ""
    return " ".join(distinct[:_SHOWN]) + more


def _samples_per_frame(facts: FileFacts, columns: Sequence[int]) -> int:
    per_frame = facts.samples_per_frame
    return 1 if per_frame is None else max(per_frame[column] for column in columns)


def _reject_growth(facts: FileFacts, columns: Sequence[int], path: Path) -> None:
    """Reject a small file that would become huge when resampled to its highest rate."""
    if facts.samples_per_frame is None or facts.shape is None:
        return
    stored = sum(facts.samples_per_frame[column] for column in columns)
    num_resampled = len(columns) * _samples_per_frame(facts, columns)
    if num_resampled > _MAX_GROWTH * stored and num_resampled * facts.shape[0] > _MANY_SAMPLES:
        raise DataError(
            f"{path}: its {len(columns)} channels differ so much in rate that at the highest rate "
            f"they would have {num_resampled // stored} times the samples of the file; choose "
            "channels with --config.data.channels or in the manifest's 'channels'."
        )


def _notes(facts: FileFacts, entry: ManifestEntry) -> tuple[str, ...]:
    uses_default_rate = facts.rate_note and entry.sampling_rate_hz is None
    return (*facts.notes, *([facts.rate_note] if uses_default_rate else []))


def _check_rate_agreement(rate_hz: float, entry: ManifestEntry, path: Path) -> float:
    stated = entry.sampling_rate_hz
    if stated is not None and not math.isclose(stated, rate_hz, rel_tol=RATE_TOLERANCE):
        raise DataError(
            f"{path} has {rate_hz:g} samples per second, but {entry.label} states {stated:g}; "
            "correct 'sampling_rate_hz' or omit it."
        )
    return rate_hz


def _units(facts: FileFacts, entry: ManifestEntry, columns: Sequence[int]) -> tuple[str, ...]:
    """Return the canonical unit stated by the file, else by the manifest."""
    stated = entry.units or ""
    # Longer text in a manifest describes processing, not a unit.
    if not is_unclear_unit(stated):
        stated = canonical_unit(stated)
    elif not _MAY_BE_UNIT.fullmatch(stated):
        stated = ""
    found = [facts.units[column] if facts.units else "" for column in columns]
    return tuple(
        unit if is_unclear_unit(unit) else canonical_unit(unit) or stated for unit in found
    )


def _record_keys(facts: FileFacts, num_records: int, path: Path) -> tuple[str, ...]:
    if facts.record_keys is None:
        return tuple(str(i) for i in range(num_records))
    _check_count("record ids", facts.record_keys, num_records, path)
    key, count = Counter(facts.record_keys).most_common(1)[0] if num_records else ("", 0)
    if count > 1:
        raise DataError(f"{path}: record id {key!r} occurs {count} times; ids must be unique.")
    return facts.record_keys


def _subjects(
    facts: FileFacts, entry: ManifestEntry, num_records: int, path: Path, relative: Path
) -> tuple[str | None, ...]:
    stated = find_file_subject(entry, relative)
    if stated is not None:
        name = subject_name(stated)
        if name is None:
            raise DataError(
                f"{entry.label}: the subject of {path} reads {stated!r}, which does not identify a "
                "subject; omit it if it is not known."
            )
        return (name,) * num_records
    if facts.subjects is None:
        return (None,) * num_records
    _check_count("subjects", facts.subjects, num_records, path)
    names = tuple(map(subject_name, facts.subjects))
    for index, name in enumerate(names):
        if name is None:
            raise DataError(
                f"{path}: record {index} has no subject (found {facts.subjects[index]!r}). Give "
                "every record one, such as a separate id if the subject is not known."
            )
    return names


def _check_count(what: str, values: Sequence[str], num_records: int, path: Path) -> None:
    if len(values) != num_records:
        raise DataError(f"{path} has {len(values)} {what} for {num_records} records.")
