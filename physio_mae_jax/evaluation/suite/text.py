"""The report of a suite in Markdown."""

from collections.abc import Mapping, Sequence

from physio_mae_jax.evaluation.bootstrap import Estimate
from physio_mae_jax.evaluation.markdown import bullets, escape, facts, number, table
from physio_mae_jax.evaluation.suite.results import SkippedTask, SuiteCell, TaskResult

ROW_TITLES = {
    "pretrained": "fine-tuned",
    "scratch": "from scratch",
    "probe": "linear probe",
    "knn": "nearest neighbors",
    "random_probe": "untrained, probe",
    "wavelets": "wavelets, probe",
    "random": "untrained",
}
CONTAMINATED = "†"


def row_title(row: str) -> str:
    """Return the title of a model for readers."""
    return ROW_TITLES.get(row, row)


def render_suite(
    title: str,
    tasks: Sequence[TaskResult],
    skipped: Sequence[SkippedTask],
    context: Mapping[str, object],
) -> str:
    """Render the report as Markdown."""
    sections = [f"# {escape(title)}"]
    if compared := in_overview(tasks):
        sections += [_overview(compared), bullets(reading_notes(compared))]
    sections += [_section(task) for task in tasks]
    if skipped:
        rows = [(escape(one.title), escape(one.reason)) for one in skipped]
        sections += ["## Not run", table(("task", "reason"), rows)]
    rows = [(escape(name), facts(value)) for name, value in context.items()]
    sections += ["## How to reproduce it", table(("", ""), rows)]
    return "\n\n".join(sections) + "\n"


def reading_notes(tasks: Sequence[TaskResult]) -> list[str]:
    """Explain values, intervals, differences and marks."""
    first = row_title(tasks[0].rows[0])
    notes = [
        "Values are means over seeds. Brackets are 95 % intervals over test subjects, which are "
        "resampled together for all models.",
        f"Differences are paired, to the first row ({first}) at the same fraction of the training "
        "subjects. They are not corrected for the number of rows.",
        "Model, calibration and thresholds were chosen on validation subjects. Folds are pooled by "
        "calibrated probability.",
    ]
    if any(task.contamination for task in tasks):
        notes.append(
            f"{CONTAMINATED} contaminated: test subjects were, or may have been, trained on."
        )
    return notes


def in_overview(tasks: Sequence[TaskResult]) -> list[TaskResult]:
    """Return the tasks that compare models and have a result."""
    return [task for task in tasks if task.labeled and task.cells]


def overview_cell(task: TaskResult, row: str) -> SuiteCell | None:
    """Return the cell of a model at the largest fraction of a task."""
    return task.cell(row, task.fractions[-1])


def all_rows(tasks: Sequence[TaskResult]) -> list[str]:
    """Return the models of all tasks, in order."""
    return list(dict.fromkeys(row for task in tasks for row in task.rows))


def is_best(task: TaskResult, cell: SuiteCell) -> bool:
    """Return whether no model of a labeled task has a higher mean at this fraction."""
    if not task.labeled:
        return False
    same = [one.mean.value for one in task.cells if one.fraction == cell.fraction]
    # An undefined value, NaN, is neither best nor better than another.
    return cell.mean.value == cell.mean.value and not any(value > cell.mean.value for value in same)


def percent(fraction: float) -> str:
    """Format a fraction: '1 %', '0.5 %'."""
    return f"{100 * fraction:g} %"


def column_title(task: TaskResult, fraction: float) -> str:
    """Return the title of the column of a fraction."""
    return percent(fraction) if task.labeled else task.metric


def interval(estimate: Estimate, digits: str = ".3f") -> str:
    """Format an interval: '[0.880, 0.941]'; '' if it is undefined."""
    if estimate.low != estimate.low:
        return ""
    return f"[{number(estimate.low, digits)}, {number(estimate.high, digits)}]"


def _overview(tasks: Sequence[TaskResult]) -> str:
    rows = all_rows(tasks)
    lines = []
    for task in tasks:
        cells = [overview_cell(task, row) for row in rows]
        shown = ["" if cell is None else _value(task, cell) for cell in cells]
        lines.append([escape(task.title), f"{escape(task.metric)}", *shown])
    return table(("task, all training subjects", "metric", *map(row_title, rows)), lines)


def _value(task: TaskResult, cell: SuiteCell) -> str:
    value = number(cell.mean.value) + CONTAMINATED * cell.contaminated
    return f"**{value}**" if is_best(task, cell) else value


def protocol_line(task: TaskResult) -> str:
    """Return metric, split and size of the test data as a sentence."""
    line = f"{task.metric}; {task.protocol}"
    if task.num_instances:
        line += f"; test: {task.num_instances:,} instances of {task.num_subjects:,} subjects"
    return f"{line}."


def _section(task: TaskResult) -> str:
    parts = [f"## {escape(task.title)}", escape(protocol_line(task))]
    if task.contamination:
        parts.append(f"**{CONTAMINATED} {escape(task.contamination)}**")
    if task.cells:
        parts.append(_task_table(task))
    if task.notes:
        parts.append(bullets(map(escape, task.notes)))
    return "\n\n".join(parts)


def _task_table(task: TaskResult) -> str:
    more = list(task.cells[0].more)
    header = ["model"]
    for fraction in task.fractions:
        header += [column_title(task, fraction), *["difference"] * task.labeled]
    last = f", {percent(task.fractions[-1])}" if len(task.fractions) > 1 else ""
    header += [escape(name) + last for name in more]
    lines = []
    for row in task.rows:
        line = [_linked_title(task, row)]
        for fraction in task.fractions:
            cell = task.cell(row, fraction)
            shown = ["", ""] if cell is None else [_with_interval(task, cell), difference(cell)]
            line += shown[: 1 + task.labeled]
        largest = task.cell(row, task.fractions[-1])
        line += [number(largest.more[name]) if largest else "" for name in more]
        lines.append(line)
    return table(header, lines)


def _linked_title(task: TaskResult, row: str) -> str:
    """Return the title of a model, linked to the report of its first trial."""
    last = next(cell for cell in reversed(task.cells) if cell.row == row)
    shown = escape(row_title(row))
    return f"[{shown}]({last.reports[0]})" if last.reports else shown


def _with_interval(task: TaskResult, cell: SuiteCell) -> str:
    return f"{_value(task, cell)} {interval(cell.mean)}".strip()


def difference(cell: SuiteCell) -> str:
    """Format the paired difference of a cell; '' if there is none."""
    if cell.difference is None:
        return ""
    value = number(cell.difference.value, "+.3f")
    return f"{value} {interval(cell.difference, '+.3f')}".strip()
