"""Metrics of several models on the same instances: means over seeds, and paired differences."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.evaluation import metric_sets
from physio_mae_jax.evaluation.bootstrap import (
    Estimate,
    check_pair,
    confidence_interval,
    get_strata,
    replicate,
)
from physio_mae_jax.evaluation.evaluated_run import EvaluatedRun, load_evaluation

# Shown beside the main metric, if the problem type has them.
_EXTRA_METRICS = ("macro_average_precision", "macro_f1", "accuracy", "rmse", "pearson_r")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedTrial:
    """One trained model: a row of the table, a fraction of the labels, and a seed."""

    row: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """Folder of the trial."""
        return f"{self.row}/labels_{self.fraction:g}/seed_{self.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedRun(EvaluatedRun):
    """Results of a trial.

    Attributes:
        trial: Trial of the results.
    """

    trial: ComparedTrial

    @classmethod
    def read(cls, workdir: Path, trial: ComparedTrial) -> "ComparedRun":
        """Read the folder of a finished trial."""
        return cls(trial=trial, **vars(load_evaluation(workdir / trial.name)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A row at one fraction of the labels, over its seeds.

    Attributes:
        row, fraction: Row of the table and fraction of the labels.
        values: Metric by seed.
        mean: Mean of the metric over seeds, with an interval over subjects.
        std: Standard deviation over seeds; NaN for a single one.
        more: Means of other metrics.
        difference: Difference of the mean to that of the reference row, on the same replicates;
            None for the reference itself, and where it was not evaluated.
    """

    row: str
    fraction: float
    values: Mapping[int, float]
    mean: Estimate
    std: float
    more: Mapping[str, float]
    difference: Estimate | None


Metric = Callable[[ComparedRun, np.ndarray], np.ndarray]


def main_metric(run: ComparedRun, weights: np.ndarray) -> np.ndarray:
    """Return the main metric of a trial for weights of its instances, [Z, U] -> [Z]."""
    return metric_sets.main_metric(run.predictions, weights)


def summarize_comparison(
    compared: Sequence[ComparedRun],
    *,
    num_resamples: int,
    seed: int = 0,
    metric: Metric = main_metric,
) -> list[Cell]:
    """Average over seeds and bootstrap subjects, with the same replicates for every model.

    Args:
        compared: Results on the same instances; the first one's row is the reference.
        num_resamples, seed: Number of replicates and seed of the bootstrap.
        metric: Function (trial, weights [Z, U]) -> [Z] that is averaged and compared.

    Raises:
        DataError: The results are not of the same instances.
    """
    first = compared[0].predictions
    groups: dict[tuple[str, float], list[ComparedRun]] = {}
    for run in compared:
        check_pair(run.predictions, first)
        groups.setdefault((run.trial.row, run.trial.fraction), []).append(run)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            str(key): np.mean([metric(run, weights) for run in group], axis=0)
            for key, group in groups.items()
        }

    points = measure(np.ones((1, first.num_instances)))
    drawn = replicate(
        measure, first.subjects, get_strata(first), num_resamples=num_resamples, seed=seed
    )
    reference = compared[0].trial.row
    cells = []
    for (row, fraction), group in groups.items():
        key, other = str((row, fraction)), str((reference, fraction))
        difference = None
        if row != reference and other in points:
            difference = confidence_interval(
                drawn[key] - drawn[other], float((points[key] - points[other])[0])
            )
        mean = confidence_interval(drawn[key], float(points[key][0]))
        cells.append(_cell(group, metric, mean, difference))
    return cells


def _cell(
    group: Sequence[ComparedRun], metric: Metric, mean: Estimate, difference: Estimate | None
) -> Cell:
    ones = np.ones((1, group[0].predictions.num_instances))
    values = {run.trial.seed: float(metric(run, ones)[0]) for run in group}
    return Cell(
        row=group[0].trial.row,
        fraction=group[0].trial.fraction,
        values=values,
        mean=mean,
        std=float(np.std(list(values.values()), ddof=1)) if len(values) > 1 else np.nan,
        more={
            name: float(np.mean([run.metrics[name] for run in group]))
            for name in _EXTRA_METRICS
            if name in group[0].metrics
        },
        difference=difference,
    )
