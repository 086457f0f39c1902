"""The trials of all tasks of a suite, opened one fold of one task at a time."""

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax

from physio_mae_jax import atomic_files
from physio_mae_jax.commands import compare
from physio_mae_jax.commands.compare import CompareConfig, ComparisonRun, build_comparison
from physio_mae_jax.commands.probe import RANDOM
from physio_mae_jax.errors import Interrupted, UserError
from physio_mae_jax.evaluation.report import has_report
from physio_mae_jax.evaluation.suite.headline import Headline
from physio_mae_jax.evaluation.suite.results import FAILURE, SkippedTask, TaskFolder
from physio_mae_jax.evaluation.summary import ComparedTrial
from physio_mae_jax.experiment.classifiers import init_from_encoder
from physio_mae_jax.experiment.subject_folds import SUBJECTS
from physio_mae_jax.experiment.suite_plan import TaskPlan, fit_window, plan_task
from physio_mae_jax.experiment.typed_config import ExperimentConfig
from physio_mae_jax.training.trials import Trial
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteTask:
    """A labeled task: a comparison of models, on one split or on several folds.

    Attributes:
        name, title: Name of its folder, and title.
        note: What a reader must know of its data; may be ''.
        headline: Headline metric.
        folds: '' for the split rule of the comparison, a number, or 'subjects'.
        longest_window_seconds: Longest window that the recordings allow (s); 0 for any.
        comparison: Settings of the comparison.
        rows, fractions, seeds: Models, fractions of the training subjects and seeds.
    """

    name: str
    title: str
    note: str
    headline: Headline
    folds: str
    longest_window_seconds: float
    comparison: CompareConfig
    rows: tuple[str, ...]
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def identity(self) -> ExperimentConfig:
        """Settings that must be equal when the task is resumed; each fold checks its rows."""
        settings: JsonObject = {
            name: self.comparison.settings[name] for name in ("init_from", "data", "labels")
        }
        return ExperimentConfig(command="suite", settings={**settings, "folds": self.folds})

    @property
    def is_leaky(self) -> bool:
        """Whether test and training share subjects on purpose."""
        return self.comparison.data.split_rule.startswith("leaky")

    @property
    def protocol(self) -> str:
        """How the subjects are divided, for readers."""
        rule = f"split {self.comparison.data.split_rule}"
        if self.is_leaky:
            return f"{rule}, which LEAKS: subjects are on both sides"
        if not self.folds:
            return f"{rule}, by subject"
        if self.folds == SUBJECTS:
            return "leave one subject out"
        return f"{self.folds} folds by subject"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Planned:
    """A task whose data could be opened."""

    task: SuiteTask
    plan: TaskPlan
    window_seconds: float

    @property
    def trials(self) -> tuple[ComparedTrial, ...]:
        """Trials of each fold, those of the first row first."""
        return tuple(
            ComparedTrial(row=row, fraction=fraction, seed=seed)
            for row in self.task.rows
            for fraction in self.plan.fractions
            for seed in self._seeds(row, fraction)
        )

    def _seeds(self, row: str, fraction: float) -> tuple[int, ...]:
        """Return the seeds of a row: one if nothing is drawn, neither subjects nor parameters."""
        encoders = self.task.comparison.candidates[row].get("encoders", RANDOM)
        return self.task.seeds if fraction < 1 or RANDOM in encoders else self.task.seeds[:1]

    def trains(self, row: str) -> bool:
        """Return whether a row trains a model, rather than a probe of features."""
        return "method" not in self.task.comparison.candidates[row]

    def fold_settings(self, rule: str) -> JsonObject:
        """Return the settings of the comparison on one fold."""
        settings = dict(self.task.comparison.settings)
        labels = {**settings["labels"], "classes": self.plan.classes}
        return settings | {
            "data": {**settings["data"], "split_rule": rule},
            "labels": {**labels, "window_seconds": self.window_seconds},
            "label_fractions": ",".join(f"{fraction:g}" for fraction in self.plan.fractions),
        }


class PlannedTasks:
    """Tasks and their trials; data is opened on first use, not when this is made."""

    def __init__(
        self,
        workdir: Path,
        tasks: Sequence[SuiteTask],
        requested: Sequence[str],
        init_from: str,
        *,
        strict: bool,
    ) -> None:
        """Prepare the tasks of a suite.

        Args:
            workdir: Folder of the suite.
            tasks: Tasks that are reported.
            requested: Names of those whose trials are run.
            init_from: Encoder.
            strict: Whether a trial fails if test data was used to pre-train the encoder.
        """
        self._workdir, self._tasks, self._init_from = workdir, tasks, init_from
        self._requested = requested
        self._strict = strict
        self._open: tuple[str, ComparisonRun] | None = None
        self.skipped: list[SkippedTask] = []

    def announce(self) -> None:
        """Log the number of trials that the settings ask for, before any is begun."""
        shown = [
            f"{task.name} {len(task.rows) * len(task.fractions) * len(task.seeds)}"
            + f" × {task.folds}" * bool(task.folds)
            for task in self._tasks
            if task.name in self._requested
        ]
        if shown:
            _LOG.info(
                "trials of each task (models × fractions × seeds, × folds), at most: %s",
                ", ".join(shown),
            )

    @functools.cached_property
    def _planned(self) -> list[_Planned]:
        """Plans of the tasks that can be run; the others are added to ``skipped``."""
        if self._tasks:
            # An encoder that cannot be loaded ends the suite: no task can do without it.
            init_from_encoder(self._init_from, "", "", 0.0)
        found = []
        for task in self._tasks:
            try:
                found.append(self._plan(task))
            except Interrupted:
                raise
            except UserError as error:
                _LOG.warning("%s cannot be run: %s", task.title, error)
                hint = f" --config.{task.name}.folds=5 divides the subjects into folds instead."
                reason = f"{error}{hint if 'split' in str(error) else ''}"
                self.skipped.append(SkippedTask(name=task.name, title=task.title, reason=reason))
        return found

    def _plan(self, task: SuiteTask) -> _Planned:
        labels = task.comparison.labels
        encoder = init_from_encoder(self._init_from, "", "", labels.window_seconds)
        fitting = fit_window(encoder, task.longest_window_seconds)
        if fitting:
            labels = dataclasses.replace(labels, window_seconds=fitting)
            encoder = init_from_encoder(self._init_from, "", "", fitting)
        plan = plan_task(
            task.comparison.data, labels, encoder, folds=task.folds, fractions=task.fractions
        )
        return _Planned(task=task, plan=plan, window_seconds=labels.window_seconds)

    def folders(self) -> list[TaskFolder]:
        """Return where the results of each task are."""
        return [
            TaskFolder(
                suite=self._workdir,
                name=planned.task.name,
                title=planned.task.title,
                protocol=planned.task.protocol,
                headline=planned.task.headline,
                folds=tuple(planned.plan.split_rules),
                trials=planned.trials,
                notes=tuple(filter(None, (planned.task.note, *planned.plan.notes))),
            )
            for planned in self._planned
        ]

    def trials(self) -> list[Trial]:
        """Return the trials of the requested tasks, task by task and fold by fold."""
        listed = [
            (planned, fold, rule, trial)
            for planned in self._planned
            if planned.task.name in self._requested
            for fold, rule in planned.plan.split_rules.items()
            for trial in planned.trials
        ]
        names = [f"{planned.task.name}/{fold}/{trial.name}" for planned, fold, _, trial in listed]
        is_pending = [not has_report(self._workdir / name) for name in names]
        trainings = sum(
            planned.trains(trial.row) and begins
            for (planned, _, _, trial), begins in zip(listed, is_pending, strict=True)
        )
        _LOG.info(
            "%d trials, %d of them pending, of which %d train a model",
            *(len(names), sum(is_pending), trainings),
        )
        if trainings and jax.default_backend() == "cpu":
            _LOG.warning(
                "on a CPU a training takes minutes to hours, so %d may take days; "
                "configs/suite.py:size=quick trains none.",
                trainings,
            )
        progress = _Progress(
            [self._workdir / name for name, begins in zip(names, is_pending, strict=True) if begins]
        )
        return [
            Trial(name, self._runner(planned, fold, rule, trial, progress))
            for name, (planned, fold, rule, trial) in zip(names, listed, strict=True)
        ]

    def _runner(
        self, planned: _Planned, fold: str, rule: str, trial: ComparedTrial, progress: "_Progress"
    ) -> Callable[[Path], object]:
        """Return the function that runs a trial; an error of the user's is noted in its folder."""

        def run(folder: Path) -> None:
            progress.log(planned.task.title)
            comparison = self._comparison(planned, fold, rule)
            own = next(one for one in comparison.trials if one.name == trial.name)
            failure = folder / FAILURE
            failure.unlink(missing_ok=True)
            try:
                own.run(folder)
            except Interrupted:
                raise
            except UserError as error:
                _LOG.error("%s failed: %s", folder, error)
                atomic_files.write_text(failure, f"{error}\n")

        return run

    def _comparison(self, planned: _Planned, fold: str, rule: str) -> ComparisonRun:
        """Open the comparison of a fold, and release that of another one."""
        name = f"{planned.task.name}/{fold}"
        if self._open is None or self._open[0] != name:
            config = compare.read(planned.fold_settings(rule))
            # A leaky split is contaminated on purpose.
            strict = self._strict and not planned.task.is_leaky
            self._open = name, build_comparison(config, self._workdir / name, strict=strict)
        return self._open[1]

    def raise_on_failures(self) -> None:
        """Raise a UserError if a requested trial has no report."""
        missing = [
            path
            for folder in self.folders()
            if folder.name in self._requested
            for trial in folder.trials
            for path in folder.paths(trial)
            if not has_report(path)
        ]
        if missing:
            raise UserError(
                f"{len(missing)} trials have no result, such as {missing[0]}; the report names "
                "them. The same command runs them again."
            )


class _Progress:
    """Count and time of the trials that were pending, of this and of other processes."""

    def __init__(self, pending: Sequence[Path]) -> None:
        self._pending, self._begun = pending, time.monotonic()

    def log(self, title: str) -> None:
        """Log how many trials are done, and how long the others may take."""
        elapsed = time.monotonic() - self._begun
        left = sum(not has_report(folder) for folder in self._pending)
        done = len(self._pending) - left
        estimate = f", about {_minutes(elapsed / done * left)} to go" if done else ""
        _LOG.info(
            "%d of %d trials done in %s%s; next: %s",
            *(done, len(self._pending), _minutes(elapsed), estimate, title),
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
