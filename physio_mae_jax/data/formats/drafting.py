"""Drafting a manifest for files, and saying what they were recognized as."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax.data.formats.candidate import Candidate
from physio_mae_jax.data.formats.origin import origin_by_ending
from physio_mae_jax.data.formats.readers import file_suffix
from physio_mae_jax.data.formats.vendors.registry import vendor_format
from physio_mae_jax.types import JsonObject

_FILL_IN = "?"
_SHOWN = 5
_MAX_CHANNELS = 64


def describe_formats(candidates: Sequence[Candidate]) -> str:
    """Return what files were recognized as, a phrase for each format and its first names."""
    names: dict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        vendor = vendor_format(candidate.path)
        usual = origin_by_ending(file_suffix(candidate.path)).format
        names[vendor.name if vendor else usual].append(candidate.entry.file)
    return "; ".join(
        f"{len(found)} {name} ({', '.join(found[:_SHOWN])}{', ...' if len(found) > _SHOWN else ''})"
        for name, found in names.items()
    )


def format_draft(draft: JsonObject) -> str:
    """Write a manifest as readable JSON."""
    text = json.dumps(draft, indent=2)
    # One line for each list of names, or twelve leads would fill the screen.
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)


def draft_from_candidates(candidates: Sequence[Candidate]) -> JsonObject:
    """Draft a manifest: one entry for files that are alike, by a glob where one fits."""
    alike: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        fields = _draft_fields(candidate)
        tail = _name_tail(candidate.path)
        alike[json.dumps([tail, fields])].append(candidate)
    names = [candidate.entry.file for candidate in candidates]
    recordings: list[JsonObject] = []
    for key, group in alike.items():
        tail, fields = json.loads(key)
        members = [candidate.entry.file for candidate in group]
        in_folders = any("/" in name for name in members)
        if (
            not in_folders
            and len(members) > 1
            and [n for n in names if n.endswith(tail)] == members
        ):
            recordings.append({"file": f"*{tail}", **fields})
        else:
            recordings.extend({"file": name, **fields} for name in members)
    return {"recordings": recordings}


def _draft_fields(candidate: Candidate) -> JsonObject:
    facts, missing = candidate.facts, candidate.missing
    if facts is None or not missing:
        return {}
    fields: JsonObject = {}
    if facts.shape is None:
        fields["array"] = _FILL_IN
    elif facts.member is not None:
        fields["array"] = facts.member
    if facts.sampling_rate_hz is None and facts.rates_hz is None:
        fields["sampling_rate_hz"] = _FILL_IN
    shape = facts.shape or ()
    # Far fewer channels than samples is the rule, so two long axes are records and samples.
    one_channel = len(shape) < 2 or (len(shape) == 2 and min(shape) > _MAX_CHANNELS)
    if facts.channels is None:
        count = 1 if one_channel else min(shape[-2:])
        fields["channels"] = [_FILL_IN] * min(count, _MAX_CHANNELS)
    elif facts.notes or "channels" in facts.questions:
        fields["channels"] = list(facts.channels) or [_FILL_IN]
    if len(shape) > 1 and facts.axes is None:
        pair = ["channel", "sample"] if shape[-2] <= shape[-1] else ["sample", "channel"]
        leading = ["record"] if len(shape) == 3 else []
        fields["axes"] = ["record", "sample"] if one_channel else leading + pair
    return fields


def _name_tail(path: Path) -> str:
    """Return what files of one kind share at the end: ``_Signals.csv``, else ``.csv``."""
    match = re.search(r"_[A-Za-z]+$", path.stem)
    return (match.group(0) if match else "") + path.suffix
