"""Leave one subject out: a fine-tuning per subject, each evaluated on that subject."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.data.format_version import add_version
from physio_mae_jax.data.instances import collect_instances
from physio_mae_jax.data.opening import open_data
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation import metric_sets
from physio_mae_jax.evaluation.calibration import Calibration, load_calibration
from physio_mae_jax.evaluation.evaluated_run import EvaluatedRun, load_evaluation
from physio_mae_jax.evaluation.evaluation import evaluate
from physio_mae_jax.evaluation.fold_pooling import pool
from physio_mae_jax.evaluation.markdown import escape, escape_name, number, table, words
from physio_mae_jax.evaluation.protocol import EvaluationConfig
from physio_mae_jax.evaluation.report import write_report
from physio_mae_jax.evaluation.results import Evaluation, plain
from physio_mae_jax.experiment.classifiers import EncoderInit, resolve_init
from physio_mae_jax.experiment.configs import FinetuneConfig
from physio_mae_jax.experiment.labeled_data import require_window_labels
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.experiment.subject_folds import one_subject_rule
from physio_mae_jax.experiment.sweep import (
    check_complete,
    check_workers,
    record_settings,
    run_pending,
    sweep_lock_arguments,
)
from physio_mae_jax.experiment.typed_config import as_settings, read_config
from physio_mae_jax.training.trials import Trial
from physio_mae_jax.types import JsonMapping, Settings

_LOG = logging.getLogger(__name__)
_CHANGEABLE_KEYS = ("subjects", "num_workers", "worker")
_MIN_SUBJECTS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeaveOneOutConfig(FinetuneConfig):
    """Settings of leaving one subject out; ``configs/loso.py`` explains each."""

    validation_share: float
    subjects: str
    num_workers: int
    worker: bool


lock_arguments = sweep_lock_arguments


def read(config: Settings) -> LeaveOneOutConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    # Each fold has a split rule of its own.
    settings = as_settings(config)
    settings["data"] = {**settings["data"], "split_rule": "none"}
    return read_config(LeaveOneOutConfig, settings)


def run(config: LeaveOneOutConfig, workdir: Path, *, strict: bool) -> None:
    """Run the pending folds and pool them."""
    leave_one_out(build_leave_one_out(config, workdir, strict=strict))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeaveOneOutRun:
    """Everything a leave-one-subject-out evaluation consists of.

    Attributes:
        workdir: Absolute path of the work folder.
        list_folds: Function that returns the job of each fold, named after its subject.
        num_workers: Number of processes that run folds.
        writes_report: Whether the report is written at the end.
        config: Settings of the evaluation.
        title: Title of the report.
        describe: Function that returns the context of the report.
    """

    workdir: Path
    list_folds: Callable[[], Sequence[Trial]]
    num_workers: int
    writes_report: bool
    config: EvaluationConfig
    title: str
    describe: Callable[[], JsonMapping]


def build_leave_one_out(
    config: LeaveOneOutConfig, workdir: Path, *, strict: bool
) -> LeaveOneOutRun:
    """Prepare the folds; data and encoder are opened when the first one runs.

    Args:
        config: Settings.
        workdir: Work folder, created if absent; the settings are written into it.
        strict: Whether to raise if test data was used to pre-train the encoder.

    Raises:
        UserError: A setting is wrong, or the folder contains folds with other settings.
    """
    check_workers(config.num_workers)
    if "+" in config.data.sets:
        raise ConfigError(f"data.sets must name exactly one data set; got {config.data.sets!r}.")
    workdir = atomic_files.prepare_workdir(workdir)
    record_settings(config, workdir, _CHANGEABLE_KEYS)
    folds = _Folds(config, strict)
    return LeaveOneOutRun(
        workdir=workdir,
        list_folds=folds.trials,
        num_workers=config.num_workers,
        writes_report=not config.worker,
        config=config.evaluation,
        title=f"{config.labels.task} on {config.data.sets}, leave one subject out",
        describe=lambda: {
            **provenance(),
            "split": {"rule": folds.rule("each"), "seed": config.data.split_seed},
            "seeds": {"training": config.seed},
            "checkpoint": config.origin or "from scratch",
            "model": config.architecture,
        },
    )


class _Folds:
    """The folds, and the objects shared by all folds that this process runs."""

    def __init__(self, config: LeaveOneOutConfig, strict: bool) -> None:
        self.config = config
        self.strict = strict

    @functools.cached_property
    def encoder_init(self) -> EncoderInit:
        return resolve_init(self.config)

    def rule(self, subject: str) -> str:
        """Return the split rule of the fold that tests a subject."""
        return one_subject_rule(subject, self.config.validation_share)

    def trials(self) -> list[Trial]:
        """List the folds, one per requested subject with a label."""
        labeled_subjects = self._subjects_with_labels
        requested = [name.strip() for name in self.config.subjects.split(",") if name.strip()]
        for name in requested or labeled_subjects:
            if name not in labeled_subjects:
                raise DataError(
                    f"subject {name!r} has no label of task {self.config.labels.task!r}; must be "
                    f"one of {', '.join(labeled_subjects)}."
                )
            self.rule(name)
        return [Trial(name, self._trial_runner(name)) for name in requested or labeled_subjects]

    @functools.cached_property
    def _subjects_with_labels(self) -> list[str]:
        encoder_init = self.encoder_init
        opened = open_data(
            self.config.data,
            encoder_init.sampling_rate_hz,
            encoder_init.num_samples,
            progress=False,
        )
        instances = collect_instances(
            opened.source, opened.reader, opened.splits["train"], self.config.labels
        )
        require_window_labels(instances, self.config.labels.task, "leaving subjects out")
        found = sorted({opened.source.recordings[int(i)].subject_id for i in instances.recording})
        if len(found) < _MIN_SUBJECTS:
            raise DataError(
                f"task {self.config.labels.task!r} must have labels of at least 3 subjects, one "
                f"each for test, validation and training; got {len(found)}."
            )
        return found

    def _trial_runner(self, subject: str) -> Callable[[Path], object]:
        """Return the function that runs a subject's fold in its folder."""

        def run(folder: Path) -> None:
            config = self._fold_config(subject)
            finetune(
                build_finetuning(config, folder, strict=self.strict, encoder_init=self.encoder_init)
            )

        return run

    def _fold_config(self, subject: str) -> FinetuneConfig:
        """Return the settings of a fold, those of a fine-tuning run, which can be evaluated."""
        names = {field.name for field in dataclasses.fields(FinetuneConfig)}
        settings = {name: value for name, value in self.config.settings.items() if name in names}
        settings["command"] = "finetune"
        settings["data"] = {**settings["data"], "split_rule": self.rule(subject)}
        return read_config(FinetuneConfig, settings)


def leave_one_out(run: LeaveOneOutRun) -> Evaluation | None:
    """Run the pending folds, then write the pooled report and the table of subjects.

    Raises:
        UserError: A worker failed, or another process is still running a fold.
    """
    run_pending(run.workdir, run.list_folds, run.num_workers)
    if not run.writes_report:
        return None
    names = [trial.name for trial in run.list_folds()]
    check_complete(run.workdir, names)
    folds = {name: _Fold.read(run.workdir / name) for name in names}
    predictions, calibration = pool(
        [(fold.predictions, fold.calibration) for fold in folds.values()]
    )
    result = evaluate(
        predictions,
        calibration,
        num_resamples=run.config.num_resamples,
        min_positives=run.config.min_positives,
    )
    context = {
        **run.describe(),
        "data": next(iter(folds.values())).context["data"],
        "contamination": _contamination([fold.context for fold in folds.values()]),
        "folds": len(folds),
    }
    write_report(
        run.workdir,
        title=run.title,
        evaluations={"test": result},
        predictions={"test": predictions},
        calibration=calibration,
        context=context,
    )
    _write_subjects(run.workdir, run.title, folds)
    metric = words(result.main_metric)
    _LOG.info("%s %.4f over %d subjects, pooled", metric, result.main.value, len(folds))
    return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Fold(EvaluatedRun):
    """Results of a fold, and the calibration chosen on its validation."""

    calibration: Calibration

    @classmethod
    def read(cls, folder: Path) -> "_Fold":
        calibration = load_calibration(folder / "calibration.json")
        return cls(calibration=calibration, **vars(load_evaluation(folder)))


def _contamination(contexts: Sequence[Mapping[str, object]]) -> str:
    """Return the line of the first contaminated fold, or a line for no contamination."""
    lines = [str(context.get("contamination", "CONTAMINATION UNKNOWN.")) for context in contexts]
    bad = [line for line in lines if line.startswith("CONTAMINATION")]
    if bad:
        return f"{bad[0]} {len(bad)} of {len(lines)} folds have such a line."
    return f"contamination: none of {len(lines)} subjects was trained on in its own fold."


def _write_subjects(workdir: Path, title: str, folds: Mapping[str, _Fold]) -> None:
    """Write the metrics of each subject's fold, and their mean and standard deviation."""
    kind = next(iter(folds.values())).predictions.kind
    names = list(next(iter(folds.values())).metrics)
    if not names:
        raise DataError("the folds have no defined metric.")
    values = np.asarray([[fold.metrics[name] for name in names] for fold in folds.values()])
    defined = [column[np.isfinite(column)] for column in values.T]
    means = [float(column.mean()) if len(column) else float("nan") for column in defined]
    std_devs = [
        float(column.std(ddof=1)) if len(column) > 1 else float("nan") for column in defined
    ]
    content = {
        "title": title,
        "subjects": {name: fold.metrics for name, fold in folds.items()},
        "mean": dict(zip(names, means, strict=True)),
        "std": dict(zip(names, std_devs, strict=True)),
    }
    atomic_files.write_json(workdir / "subjects.json", add_version(plain(content)))
    rows = [
        [escape_name(name), f"{fold.predictions.num_instances:,}", *map(number, row)]
        for (name, fold), row in zip(folds.items(), values, strict=True)
    ]
    summary = [f"{number(m)} ± {number(s)}" for m, s in zip(means, std_devs, strict=True)]
    rows.append(["mean ± s.d. over subjects", "", *summary])
    note = (
        f"{words(metric_sets.MAIN_METRICS[kind])} and the other metrics of each subject, by the "
        "model that never saw that subject; a dash if a subject lacks a class. evaluation.md is "
        "the pooled report; it ranks instances of different subjects by models of different folds."
    )
    shown = table(["subject", "instances", *map(words, names)], rows)
    atomic_files.write_text(workdir / "subjects.md", f"# {escape(title)}\n\n{shown}\n\n{note}\n")
