"""Kinds of models × shares of the labels × seeds, run one by one and compared in one table."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.format_version import versioned
from physio_mae_jax.evaluation import metric_sets
from physio_mae_jax.evaluation.comparison_text import render_comparison
from physio_mae_jax.evaluation.markdown import words
from physio_mae_jax.evaluation.pending_runs import check_complete, run_pending
from physio_mae_jax.evaluation.results import plain
from physio_mae_jax.evaluation.summary import Cell, ComparedRun, ComparedTrial, summarize_comparison
from physio_mae_jax.plots.comparison import Series, draw_comparison
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.trials import Trial

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonRun:
    """Everything a comparison consists of.

    Attributes:
        workdir: Absolute path of the work folder.
        compared: All trials, those of the reference row first.
        trials: Job of each trial, in the same order.
        title: Title of the report.
        num_workers: Number of processes that run trials.
        writes_report: Whether the report is written at the end.
        num_resamples: Number of bootstrap replicates.
        describe: Function that returns command, versions and devices for the report; called last,
            since a device query acquires the devices, which the workers need until they are done.
    """

    workdir: Path
    compared: tuple[ComparedTrial, ...]
    trials: tuple[Trial, ...]
    title: str
    num_workers: int
    writes_report: bool
    num_resamples: int
    describe: Callable[[], Mapping[str, Any]]


def compare_models(run: ComparisonRun) -> None:
    """Run the pending trials, then write comparison.json, comparison.md and their figure.

    Raises:
        UserError: A worker failed, or another process is still running an trial.
    """
    names = [trial.name for trial in run.trials]
    run_pending(run.workdir, lambda: run.trials, run.num_workers)
    if not run.writes_report:
        return
    check_complete(run.workdir, names)
    compared = [ComparedRun.read(run.workdir, trial) for trial in run.compared]
    cells = summarize_comparison(compared, num_resamples=run.num_resamples)
    series = _series(cells)
    metric = words(metric_sets.MAIN_METRICS[compared[0].predictions.kind])
    plot_file = run.workdir / "plots" / "comparison.png"
    atomic_files.write_figure(plot_file, lambda: draw_comparison(series, metric, run.title))
    how = run.describe()
    content = {"title": run.title, "how": how, "cells": cells, "shared": compared[0].context}
    atomic_files.write_json(run.workdir / "comparison.json", versioned(plain(content)))
    text = render_comparison(run.title, cells, compared[0], how)
    atomic_files.write_text(run.workdir / "comparison.md", text)
    _LOG.info("the table is in %s", run.workdir / "comparison.md")


def _series(cells: Sequence[Cell]) -> list[Series]:
    rows = dict.fromkeys(cell.row for cell in cells)
    return [
        Series(
            label=row,
            fractions=np.asarray([cell.fraction for cell in cells if cell.row == row]),
            values=[np.asarray(list(c.values.values())) for c in cells if c.row == row],
        )
        for row in rows
    ]
