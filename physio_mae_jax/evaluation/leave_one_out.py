"""Folds of one subject each: run one by one, then evaluated together and by subject."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.format_version import versioned
from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import metric_sets
from physio_mae_jax.evaluation.calibration import Calibration, load_calibration
from physio_mae_jax.evaluation.evaluated_run import EvaluatedRun, load_evaluation
from physio_mae_jax.evaluation.evaluation import evaluate
from physio_mae_jax.evaluation.finetune import EvaluationConfig
from physio_mae_jax.evaluation.fold_pooling import pool
from physio_mae_jax.evaluation.markdown import escape, named, number, table, words
from physio_mae_jax.evaluation.pending_runs import check_complete, run_pending
from physio_mae_jax.evaluation.report import write_report
from physio_mae_jax.evaluation.results import Evaluation, plain
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.trials import Trial

_LOG = logging.getLogger(__name__)


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
    describe: Callable[[], Mapping[str, Any]]


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
    _LOG.info("%s %.4f of %d subjects together", metric, result.main.value, len(folds))
    return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Fold(EvaluatedRun):
    """Results of a fold, and the calibration chosen on its validation."""

    calibration: Calibration

    @classmethod
    def read(cls, folder: Path) -> "_Fold":
        calibration = load_calibration(folder / "calibration.json")
        return cls(calibration=calibration, **vars(load_evaluation(folder)))


def _contamination(contexts: Sequence[Mapping[str, Any]]) -> str:
    """Return the line of a fold that is not clean, if there is one."""
    lines = [str(context.get("contamination", "CONTAMINATION NOT KNOWN.")) for context in contexts]
    bad = [line for line in lines if line.startswith("CONTAMINATION")]
    if bad:
        return f"{bad[0]} So it is in {len(bad)} of {len(lines)} folds."
    return f"contamination: none of {len(lines)} subjects was trained on in its own fold."


def _write_subjects(workdir: Path, title: str, folds: Mapping[str, _Fold]) -> None:
    """Write the metrics of each subject's fold, and their mean and standard deviation."""
    kind = next(iter(folds.values())).predictions.kind
    names = list(next(iter(folds.values())).metrics)
    if not names:
        raise DataError("the folds hold no defined metric.")
    values = np.asarray([[fold.metrics[name] for name in names] for fold in folds.values()])
    known = [column[np.isfinite(column)] for column in values.T]
    means = [float(column.mean()) if len(column) else float("nan") for column in known]
    spread = [float(column.std(ddof=1)) if len(column) > 1 else float("nan") for column in known]
    content = {
        "title": title,
        "subjects": {name: fold.metrics for name, fold in folds.items()},
        "mean": dict(zip(names, means, strict=True)),
        "std": dict(zip(names, spread, strict=True)),
    }
    atomic_files.write_json(workdir / "subjects.json", versioned(plain(content)))
    rows = [
        [named(name), f"{fold.predictions.num_instances:,}", *map(number, row)]
        for (name, fold), row in zip(folds.items(), values, strict=True)
    ]
    both = [f"{number(m)} ± {number(s)}" for m, s in zip(means, spread, strict=True)]
    rows.append(["mean ± s.d. over subjects", "", *both])
    note = (
        f"{words(metric_sets.MAIN_METRICS[kind])} and the other metrics of each subject, by the "
        "model that never saw that subject; a dash where a subject lacks a class. The pooled "
        "report "
        "is evaluation.md; it ranks instances of different subjects by models of different folds."
    )
    shown = table(["subject", "instances", *map(words, names)], rows)
    atomic_files.write_text(workdir / "subjects.md", f"# {escape(title)}\n\n{shown}\n\n{note}\n")
