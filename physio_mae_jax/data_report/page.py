"""The report of a folder as one HTML page that needs no network."""

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data_report.facts import (
    CHECKED_SECONDS,
    FolderFacts,
    ModelInput,
    RecordingFacts,
)
from physio_mae_jax.data_report.svg import waveform
from physio_mae_jax.printable import printable
from physio_mae_jax.signals.channels import channel_id

_MAX_LISTED = 60
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #0b6; --warn: #c60; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .8rem; }
.tile b { display: block; font-size: 1.25rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
svg { width: 100%; height: 4rem; fill: none; stroke: currentColor; stroke-width: 1; }
svg path { vector-effect: non-scaling-stroke; }
.channel { display: grid; grid-template-columns: 6.5rem 1fr; align-items: center; gap: .5rem; }
.warn { color: var(--warn); } .ok { color: var(--accent); } .note { opacity: .75; }
"""


def render_page(facts: FolderFacts) -> str:
    """Return the page."""
    title = f"Recordings in {printable(facts.folder)}"
    sections = (
        _overview(facts),
        _channels(facts.infos),
        _quality(facts.recordings),
        _model_input(facts.model_input),
        _splits(facts),
        _recordings(facts),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{_text(title)}</h1>{''.join(sections)}</body></html>\n"
    )


def _overview(facts: FolderFacts) -> str:
    infos = facts.infos
    hours = sum(info.seconds for info in infos) / 3600
    rates = sorted({info.sampling_rate_hz for info in infos})
    formats = Counter(Path(one.file).suffix.lower() or "none" for one in facts.recordings)
    num_subjects = len({info.subject_key for info in infos})
    tiles = (
        (f"{len(infos):,}", _noun(len(infos), "recording")),
        (f"{num_subjects:,}", _noun(num_subjects, "subject")),
        (f"{hours:,.2f} h", "in all"),
        (_some([f"{rate:g}" for rate in rates], 4), "Hz"),
        (_some([f"{name} × {count}" for name, count in formats.items()], 4), "files shown"),
    )
    cells = "".join(f'<div class="tile"><b>{_text(a)}</b>{_text(b)}</div>' for a, b in tiles)
    return f'<div class="tiles">{cells}</div>'


def _noun(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _channels(infos: Sequence[RecordingInfo]) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    for info in infos:
        units = info.units or ("",) * len(info.channel_names)
        counts.update(zip(info.channel_names, units, strict=True))
    rows = [
        (
            name,
            unit or "not stated",
            f"{count:,}",
            "yes" if channel_id(name) else "no: read by position only",
        )
        for (name, unit), count in counts.most_common(_MAX_LISTED)
    ]
    return "<h2>Channels</h2>" + _table(("channel", "unit", "recordings", "known name"), rows)


def _quality(recordings: Sequence[RecordingFacts]) -> str:
    counts = Counter((a.kind, a.channel) for one in recordings for a in one.artifacts)
    note = (
        f'<p class="note">Checked in the first {CHECKED_SECONDS / 60:g} minutes of '
        f"{len(recordings):,} {_noun(len(recordings), 'recording')}. "
        "Findings are reported; no sample is changed.</p>"
    )
    if not counts:
        return f'<h2>Quality</h2>{note}<p class="ok">No findings.</p>'
    rows = [(kind, channel, f"{n:,}") for (kind, channel), n in counts.most_common(_MAX_LISTED)]
    return f"<h2>Quality</h2>{note}" + _table(("finding", "channel", "recordings"), rows)


def _model_input(given: ModelInput) -> str:
    heading = "<h2>What a model would receive</h2>"
    if given.config is None or given.example is None:
        return f'{heading}<p class="warn">{_text(given.problem)}</p>'
    config = given.config
    text = (
        f"{given.num_windows:,} windows of {config.seconds:g} s at {config.sampling_rate_hz:g} Hz, "
        f"{config.num_channels} channels, each z-scored over its window; training finds gaps that "
        "files do not state and excludes their windows. The first one:"
    )
    plots = "".join(
        f'<div class="channel"><span>{_text(name)}</span>'
        f"{waveform(values, config.seconds, f'{name}, as the model receives it')}</div>"
        for name, values in zip(given.channels, given.example, strict=False)
    )
    return f"{heading}<p>{_text(text)}</p>{plots}"


def _splits(facts: FolderFacts) -> str:
    heading = "<h2>Splits, by subject</h2>"
    if facts.split_problem:
        return f'{heading}<p class="warn">{_text(facts.split_problem)}</p>'
    count = Counter(info.subject_key for info in facts.infos)
    rows = [
        (name, f"{len(keys):,}", f"{sum(count[key] for key in keys):,}", _some(keys, 12))
        for name, keys in facts.splits.items()
    ]
    return heading + _table(("split", "subjects", "recordings", "who"), rows)


def _recordings(facts: FolderFacts) -> str:
    hidden = len(facts.infos) - len(facts.recordings)
    more = f'<p class="note">and {hidden:,} more, not shown.</p>' if hidden else ""
    return "<h2>Recordings</h2>" + "".join(map(_recording, facts.recordings)) + more


def _recording(one: RecordingFacts) -> str:
    info = one.info
    rate = "" if one.heart_rate_bpm is None else f", {one.heart_rate_bpm:.0f} beats per minute"
    gaps = f", {len(info.gaps)} gaps" if info.gaps else ""
    line = (
        f"{info.record_id}: subject {info.subject_id}, {info.seconds:,.1f} s at "
        f"{info.sampling_rate_hz:g} Hz{rate}{gaps}{f', {one.split}' if one.split else ''}"
    )
    findings = "; ".join(
        f"{a.channel}: {a.kind}{f' ({a.detail})' if a.detail else ''}" for a in one.artifacts
    )
    units = info.units or ("",) * len(info.channel_names)
    seconds = one.excerpt.shape[1] / info.sampling_rate_hz
    plots = "".join(
        f'<div class="channel"><span>{_text(name)}{f" ({_text(unit)})" if unit else ""}</span>'
        f"{waveform(np.asarray(values), seconds, name)}</div>"
        for name, unit, values in zip(info.channel_names, units, one.excerpt, strict=True)
    )
    warning = f'<p class="warn">{_text(findings)}</p>' if findings else ""
    mark = ' <span class="warn">⚠</span>' if findings else ""
    return (
        f"<details><summary>{_text(line)}{mark}</summary>{warning}"
        f'<p class="note">{_text(one.file)}, first {seconds:.3g} s</p>{plots}</details>'
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _some(values: Sequence[str], count: int) -> str:
    more = f" … {len(values) - count:,} more" if len(values) > count else ""
    return ", ".join(values[:count]) + more


def _text(text: str) -> str:
    """Escape text that may come from data."""
    return html.escape(printable(text, 2_000))
