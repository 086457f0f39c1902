"""The report of a suite as one HTML page that needs no network."""

import html
from collections.abc import Mapping, Sequence

from physio_mae_jax.evaluation.markdown import number
from physio_mae_jax.evaluation.suite import text
from physio_mae_jax.evaluation.suite.plot import Axis, Mark, axis_labels, track
from physio_mae_jax.evaluation.suite.results import SkippedTask, SuiteCell, TaskResult
from physio_mae_jax.printable import printable

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #0072b2; --warn: #c50; }
@media (prefers-color-scheme: dark) { :root { --accent: #56b4e9; --warn: #f93; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 0 0 .3rem; }
h3 { font-size: .95rem; margin: .8rem 0 .2rem; }
a { color: var(--accent); }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; margin: 1rem 0; }
.wide { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td.value { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.value small, th small { opacity: .75; font-weight: normal; }
td.best { font-weight: 650; }
.overview th:first-child, .overview td:first-child { position: sticky; left: 0; min-width: 8rem;
  background: Canvas; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
  gap: .4rem 1.6rem; }
.row { display: grid; grid-template-columns: 8.2rem minmax(0, 1fr) 3.2rem; align-items: center;
  gap: .5rem; font-size: .87rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
svg.track { width: 100%; overflow: visible; display: block; }
svg.track line { stroke: currentColor; stroke-width: 2; opacity: .55; }
svg.track circle { fill: currentColor; opacity: .8; } svg.track .seed { opacity: .35; }
svg.track line.grid { stroke: var(--line); stroke-width: 1; opacity: 1; }
svg.track text { font-size: 11px; fill: currentColor; opacity: .7; }
svg.first line { stroke: var(--accent); } svg.first circle { fill: var(--accent); }
.warn { color: var(--warn); } .note { opacity: .8; font-size: .9rem; }
summary { cursor: pointer; } td.reports { white-space: nowrap; }
ul { padding-left: 1.2rem; } dd { margin: 0 0 .4rem; overflow-wrap: anywhere; }
"""


def render_page(
    title: str,
    tasks: Sequence[TaskResult],
    skipped: Sequence[SkippedTask],
    context: Mapping[str, object],
) -> str:
    """Return the page; its links are relative to the folder of the suite."""
    compared = text.in_overview(tasks)
    sections = [f"<h1>{_text(title)}</h1>"]
    if compared:
        sections += [_overview(compared), _list(text.reading_notes(compared))]
    sections += [_card(task) for task in tasks]
    if skipped:
        sections.append(_skipped(skipped))
    sections.append(_context(context))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _overview(tasks: Sequence[TaskResult]) -> str:
    rows = text.all_rows(tasks)
    head = "".join(f"<th>{_text(text.row_title(row))}</th>" for row in rows)
    lines = []
    for task in tasks:
        cells = [text.overview_cell(task, row) for row in rows]
        values = [c.mean.value for c in cells if c is not None and c.mean.value == c.mean.value]
        low, high = min(values, default=0.0), max(values, default=0.0)
        mark = f' <span class="warn">{text.CONTAMINATED}</span>' if task.contamination else ""
        lines.append(
            f'<tr><td><a href="#{_text(task.name)}">{_text(task.title)}</a>{mark}'
            f'<br><span class="note">{_text(task.metric)}</span></td>'
            + "".join(_overview_cell(task, cell, low, high) for cell in cells)
            + "</tr>"
        )
    return (
        '<div class="wide overview"><table><tr><th>task, all training subjects</th>'
        f"{head}</tr>{''.join(lines)}</table></div>"
    )


def _overview_cell(task: TaskResult, cell: SuiteCell | None, low: float, high: float) -> str:
    if cell is None:
        return "<td></td>"
    value = cell.mean.value
    share = (value - low) / (high - low) if high > low and value == value else 0.0
    color = f"color-mix(in srgb, var(--accent) {45 * share:.0f}%, transparent)"
    best = " best" * text.is_best(task, cell)
    return (
        f'<td class="value{best}" style="background: {color}" title="{_text(_hover(task, cell))}">'
        f"{number(value)}{_mark(cell)}</td>"
    )


def _card(task: TaskResult) -> str:
    parts = [f"<h2>{_text(task.title)}</h2>"]
    parts.append(f'<p class="note">{_text(text.protocol_line(task))}</p>')
    if task.contamination:
        parts.append(f'<p class="warn">{text.CONTAMINATED} {_text(task.contamination)}</p>')
    if task.cells:
        parts += [_plots(task), _table(task)]
    if task.notes:
        parts.append(_list(task.notes))
    return f'<section class="card" id="{_text(task.name)}">{"".join(parts)}</section>'


def _plots(task: TaskResult) -> str:
    """Draw a panel per fraction, all on one axis."""
    estimates = [cell.mean for cell in task.cells]
    seeds = [value for cell in task.cells for value in cell.values.values()]
    axis = Axis.of([*(v for e in estimates for v in (e.value, e.low, e.high)), *seeds])
    return f'<div class="plots">{"".join(_panel(task, f, axis) for f in task.fractions)}</div>'


def _panel(task: TaskResult, fraction: float, axis: Axis) -> str:
    lines = []
    for row in task.rows:
        cell = task.cell(row, fraction)
        if cell is None:
            continue
        mark = Mark(
            value=cell.mean.value,
            low=cell.mean.low,
            high=cell.mean.high,
            dots=list(cell.values.values()) if len(cell.values) > 1 else [],
            title=_hover(task, cell),
            highlighted=row == task.rows[0],
        )
        lines.append(
            f'<div class="row"><span>{_text(text.row_title(row))}</span>{track(axis, mark)}'
            f"<span>{number(cell.mean.value)}{_mark(cell)}</span></div>"
        )
    share = f"{text.percent(fraction)} of the training subjects"
    heading = share if task.labeled else task.metric
    return (
        f"<div><h3>{_text(heading)}</h3>{''.join(lines)}"
        f'<div class="row"><span></span>{axis_labels(axis)}<span></span></div></div>'
    )


def _hover(task: TaskResult, cell: SuiteCell) -> str:
    """Return what is shown when a value is pointed at."""
    parts = [f"{text.row_title(cell.row)}: {task.metric} {number(cell.mean.value)}"]
    if shown := text.interval(cell.mean):
        parts.append(f"95 % interval {shown}")
    if len(cell.values) > 1:
        values = (f"{number(value)} ({seed})" for seed, value in cell.values.items())
        parts.append(f"seeds {', '.join(values)}")
    if shown := text.difference(cell):
        parts.append(f"difference {shown}")
    parts += [f"{name} {number(value)}" for name, value in cell.more.items()]
    if cell.contaminated:
        parts.append("contaminated")
    return "; ".join(parts)


def _table(task: TaskResult) -> str:
    head = "<th>model</th>"
    for fraction in task.fractions:
        head += f"<th>{_text(text.column_title(task, fraction))}"
        head += "<br><small>difference</small></th>" if task.labeled else "</th>"
    more = list(task.cells[0].more)
    below = f"<br><small>{text.percent(task.fractions[-1])}</small>" * (len(task.fractions) > 1)
    head += "".join(f"<th>{_text(name)}{below}</th>" for name in more) + "<th>reports</th>"
    lines = []
    for row in task.rows:
        line = f"<td>{_text(text.row_title(row))}</td>"
        cells = [task.cell(row, fraction) for fraction in task.fractions]
        line += "".join(_table_cell(task, cell) for cell in cells)
        largest = cells[-1]
        line += "".join(
            f'<td class="value">{number(largest.more[name]) if largest else ""}</td>'
            for name in more
        )
        links = _links([cell for cell in cells if cell is not None])
        line += f'<td class="reports">{links}</td>'
        lines.append(f"<tr>{line}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _table_cell(task: TaskResult, cell: SuiteCell | None) -> str:
    """Return the value of a cell, and its difference below."""
    if cell is None:
        return "<td></td>"
    best = " best" * text.is_best(task, cell)
    below = f"<br><small>{shown}</small>" if (shown := text.difference(cell)) else ""
    return (
        f'<td class="value{best}">{number(cell.mean.value)}{_mark(cell)} '
        f"<small>{text.interval(cell.mean)}</small>{below}</td>"
    )


def _links(cells: Sequence[SuiteCell]) -> str:
    """Link the report of every trial of a row; many are folded."""
    links = [
        f'<a href="{_text(report)}">{_text(_trial_title(cell, report))}</a>'
        for cell in cells
        for report in cell.reports
    ]
    if len(links) == 1:
        return links[0]
    return f"<details><summary>{len(links)} trials</summary>{'<br>'.join(links)}</details>"


def _trial_title(cell: SuiteCell, report: str) -> str:
    """Return fraction, seed and fold of a report, from its path TASK/FOLD/ROW/LABELS/SEED/…"""
    parts = report.split("/")
    if len(parts) < 4:
        return parts[-1]
    fold = "" if parts[1] == "split" else f", {parts[1]}"
    return f"{text.percent(cell.fraction)}, {parts[-2]}{fold}".replace("_", " ")


def _mark(cell: SuiteCell) -> str:
    return f'<span class="warn">{text.CONTAMINATED}</span>' if cell.contaminated else ""


def _skipped(skipped: Sequence[SkippedTask]) -> str:
    rows = "".join(
        f'<tr id="{_text(one.name)}"><td>{_text(one.title)}</td><td>{_text(one.reason)}</td></tr>'
        for one in skipped
    )
    return (
        '<section class="card"><h2>Not run</h2><div class="wide"><table><tr><th>task</th>'
        f"<th>reason</th></tr>{rows}</table></div></section>"
    )


def _context(context: Mapping[str, object]) -> str:
    items = "".join(
        f"<dt><b>{_text(name)}</b></dt><dd>{_text(_plain(value))}</dd>"
        for name, value in context.items()
    )
    return f'<section class="card"><h2>How to reproduce it</h2><dl>{items}</dl></section>'


def _plain(value: object) -> str:
    """Format a value of the context, possibly a mapping, on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {held}" for name, held in value.items())
    return str(value)


def _list(lines: Sequence[str]) -> str:
    return f'<ul class="note">{"".join(f"<li>{_text(line)}</li>" for line in lines)}</ul>'


def _text(value: str) -> str:
    """Escape text that may come from data."""
    return html.escape(printable(value, 2_000))
