"""The report of a comparison in Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.evaluation import metric_sets
from physio_mae_jax.evaluation.bootstrap import Estimate
from physio_mae_jax.evaluation.markdown import (
    bullets,
    escape,
    facts,
    format_interval,
    number,
    table,
    words,
)
from physio_mae_jax.evaluation.summary import Cell, ComparedRun


def render_comparison(
    title: str, cells: Sequence[Cell], first: ComparedRun, provenance: Mapping[str, object]
) -> str:
    """Render the report as Markdown."""
    kind = first.predictions.kind
    metric = words(metric_sets.MAIN_METRICS[kind])
    seeds = sorted({seed for cell in cells for seed in cell.values})
    reference = cells[0].row
    sections = [f"# {escape(title)}"]
    for fraction in dict.fromkeys(cell.fraction for cell in cells):
        subset = [cell for cell in cells if cell.fraction == fraction]
        sections.append(f"## {fraction:.0%} of the training subjects")
        sections.append(_cells_table(subset, kind, metric, reference))
    subjects = len(np.unique(first.predictions.subjects))
    notes = [
        f"Test: {first.predictions.num_instances:,} instances of {subjects:,} subjects, the same "
        "for all.",
        f"Each value is a mean over seeds {', '.join(map(str, seeds))}; ± is their "
        "standard deviation, brackets are the 95 % interval over test subjects (resampled together "
        "for all models, so differences are paired).",
        "Intervals are not widened for the number of rows.",
        "Model, calibration and thresholds of every trial were chosen on its validation split.",
        escape(str(first.context.get("contamination", "contamination: not stated"))),
    ]
    sections += [bullets(notes), "![comparison](plots/comparison.png)"]
    split = first.context.get("split", {})
    rows = [(escape(name), facts(value)) for name, value in {**provenance, "split": split}.items()]
    sections += ["## How to reproduce it", table(("", ""), rows)]
    return "\n\n".join(sections) + "\n"


def _cells_table(cells: Sequence[Cell], kind: str, metric: str, reference: str) -> str:
    more = list(cells[0].more)
    header = [
        "model",
        f"{metric}, mean ± s.d.",
        "95 % interval",
        f"difference to {escape(reference)}",
        *map(words, more),
    ]
    rows = []
    for cell in cells:
        rows.append(
            [
                escape(cell.row),
                f"{number(cell.mean.value)} ± {number(cell.std)}",
                format_interval(cell.mean, kind),
                "" if cell.difference is None else _format_signed(cell.difference),
                *(number(cell.more[name]) for name in more),
            ]
        )
    return table(header, rows)


def _format_signed(difference: Estimate) -> str:
    subset = number(difference.value, "+.3f")
    return f"{subset} [{number(difference.low, '+.3f')}, {number(difference.high, '+.3f')}]"
