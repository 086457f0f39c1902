"""Results of the tasks of a suite, from the folders of their trials."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.evaluation.bootstrap import Estimate
from physio_mae_jax.evaluation.calibration import Calibration, load_calibration
from physio_mae_jax.evaluation.caveats import few_subjects, is_uncontaminated
from physio_mae_jax.evaluation.evaluated_run import EvaluatedRun, load_evaluation
from physio_mae_jax.evaluation.fold_pooling import pool
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.report import has_report
from physio_mae_jax.evaluation.suite.headline import Headline, Measure, applicable
from physio_mae_jax.evaluation.summary import (
    Cell,
    ComparedRun,
    ComparedTrial,
    summarize_comparison,
)

# Written into the folder of a trial that ended with an error, which the next one removes.
FAILURE = "failed.txt"
REPORT = "evaluation.md"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteCell:
    """A model at one fraction of the training subjects.

    Attributes:
        row, fraction: Model and fraction.
        mean: Mean of the headline metric over seeds, with its interval over test subjects.
        difference: Paired difference to the first row; None for that row.
        values: Headline metric by seed.
        more: Means of other metrics by their title.
        contaminated: Whether a test subject may have been trained on.
        reports: Paths of the reports of its trials, relative to the suite's folder.
    """

    row: str
    fraction: float
    mean: Estimate
    difference: Estimate | None
    values: Mapping[int, float]
    more: Mapping[str, float]
    contaminated: bool
    reports: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskResult:
    """Results of a task.

    Attributes:
        name, title: Name of its folder, and title.
        metric: Title of the headline metric.
        protocol: How the subjects are divided.
        num_instances, num_subjects: Size of the test data; 0 if no trial is done.
        cells: Cells with all folds of at least one seed, those of the first row first.
        contamination: First line about contamination of its reports; '' if there is none.
        notes: Caveats, what was excluded and why, and trials that failed.
        labeled: False for a task without labels, whose rows are no models of the comparison.
    """

    name: str
    title: str
    metric: str
    protocol: str
    num_instances: int
    num_subjects: int
    cells: tuple[SuiteCell, ...]
    contamination: str
    notes: tuple[str, ...]
    labeled: bool = True

    @property
    def rows(self) -> tuple[str, ...]:
        """Models with a result, in order."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def fractions(self) -> tuple[float, ...]:
        """Fractions with a result, ascending."""
        return tuple(sorted({cell.fraction for cell in self.cells}))

    def cell(self, row: str, fraction: float) -> SuiteCell | None:
        """Return a cell, or None where there is no result."""
        found = (c for c in self.cells if (c.row, c.fraction) == (row, fraction))
        return next(found, None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SkippedTask:
    """A task without results.

    Attributes:
        name, title: Name and title.
        reason: Why it was not run, and what to do.
    """

    name: str
    title: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskFolder:
    """Where the trials of a task are.

    Attributes:
        suite: Folder of the suite.
        name, title, protocol: As in ``TaskResult``.
        headline: Headline metric.
        folds: Names of the folds, folders in that of the task.
        trials: Trials of each fold, those of the first row first.
        notes: Notes of the plan.
    """

    suite: Path
    name: str
    title: str
    protocol: str
    headline: Headline
    folds: tuple[str, ...]
    trials: tuple[ComparedTrial, ...]
    notes: tuple[str, ...]

    def paths(self, trial: ComparedTrial) -> list[Path]:
        """Return the folders of a trial, one per fold."""
        return [self.suite / self.name / fold / trial.name for fold in self.folds]


def collect_results(task: TaskFolder, *, num_resamples: int) -> TaskResult:
    """Pool the folds of each finished trial, and average over seeds.

    Raises:
        DataError: A report is damaged, or the task lacks the headline metric.
    """
    done = [trial for trial in task.trials if all(map(has_report, task.paths(trial)))]
    pooled = {trial: _read_trial(trial, task.paths(trial)) for trial in done}
    cells: list[SuiteCell] = []
    size, notes = (0, 0), list[str]()
    if pooled:
        cells = _summarize(task, pooled, num_resamples)
        first = pooled[done[0]].predictions
        size = first.num_instances, len(np.unique(first.subjects))
        notes = few_subjects(size[1])
    lines = [line for found in pooled.values() for line in found.contamination]
    return TaskResult(
        name=task.name,
        title=task.title,
        metric=task.headline.title,
        protocol=task.protocol,
        num_instances=size[0],
        num_subjects=size[1],
        cells=tuple(cells),
        contamination=next(iter(lines), ""),
        notes=(*notes, *task.notes, *_unfinished(task, done)),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _PooledTrial:
    """Predictions of a trial over all folds, and the lines about contamination of its folds."""

    predictions: Predictions
    calibration: Calibration
    contamination: tuple[str, ...]


def _read_trial(trial: ComparedTrial, folders: Sequence[Path]) -> _PooledTrial:
    runs: list[EvaluatedRun] = [load_evaluation(folder) for folder in folders]
    calibrations = [load_calibration(folder / "calibration.json") for folder in folders]
    predictions, calibration = runs[0].predictions, calibrations[0]
    if len(runs) > 1:
        folds = [(run.predictions, one) for run, one in zip(runs, calibrations, strict=True)]
        predictions, calibration = pool(folds)
    lines = [
        str(run.context.get("contamination", "CONTAMINATION UNKNOWN."))
        for run in runs
        if not is_uncontaminated(run.context)
    ]
    return _PooledTrial(
        predictions=predictions, calibration=calibration, contamination=tuple(lines)
    )


def _summarize(
    task: TaskFolder, pooled: Mapping[ComparedTrial, _PooledTrial], num_resamples: int
) -> list[SuiteCell]:
    """Return the cells of the finished trials."""
    compared = [
        ComparedRun(trial=trial, predictions=found.predictions, metrics={}, context={})
        for trial, found in pooled.items()
    ]
    measures: dict[ComparedTrial, Measure] = {
        trial: task.headline.measure(found.predictions, found.calibration)
        for trial, found in pooled.items()
    }
    cells = summarize_comparison(
        compared,
        num_resamples=num_resamples,
        metric=lambda run, weights: measures[run.trial](weights),
    )
    first_row = task.trials[0].row
    has_reference = compared[0].trial.row == first_row
    return [_suite_cell(task, cell, pooled, with_difference=has_reference) for cell in cells]


def _suite_cell(
    task: TaskFolder,
    cell: Cell,
    pooled: Mapping[ComparedTrial, _PooledTrial],
    *,
    with_difference: bool,
) -> SuiteCell:
    trials = [
        ComparedTrial(row=cell.row, fraction=cell.fraction, seed=seed) for seed in cell.values
    ]
    found = [pooled[trial] for trial in trials]
    ones = np.ones((1, found[0].predictions.num_instances))
    more = {
        metric.title: float(
            np.mean([metric.measure(one.predictions, one.calibration)(ones)[0] for one in found])
        )
        for metric in applicable(found[0].predictions.kind)
        if metric != task.headline
    }
    return SuiteCell(
        row=cell.row,
        fraction=cell.fraction,
        mean=cell.mean,
        difference=cell.difference if with_difference else None,
        values=cell.values,
        more=more,
        contaminated=any(one.contamination for one in found),
        reports=tuple(
            (folder / REPORT).relative_to(task.suite).as_posix()
            for trial in trials
            for folder in task.paths(trial)
        ),
    )


def _unfinished(task: TaskFolder, done: Sequence[ComparedTrial]) -> list[str]:
    """Return notes on trials without a result, with the error of the first that failed."""
    finished = set(done)
    folders = [path for trial in task.trials if trial not in finished for path in task.paths(trial)]
    missing = [path for path in folders if not has_report(path)]
    failures = [path / FAILURE for path in missing if (path / FAILURE).is_file()]
    notes = []
    if failures:
        error = failures[0].read_text(encoding="utf-8").strip()
        name = failures[0].parent.relative_to(task.suite).as_posix()
        notes.append(f"{len(failures)} trials failed, such as {name}: {error}")
    if len(missing) > len(failures):
        notes.append(
            f"{len(missing) - len(failures)} trials are not done; the same command goes on."
        )
    return notes
