"""Evaluation protocol: fit thresholds on validation, evaluate the test split, write the report."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.evaluation import metrics
from physio_mae_jax.evaluation.calibration import Calibration, fit_calibration
from physio_mae_jax.evaluation.evaluation import compare, evaluate
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.report import write_report
from physio_mae_jax.evaluation.results import Evaluation
from physio_mae_jax.evaluation.segmentation import sample_macro_f1
from physio_mae_jax.setting_ranges import check_fields

# Recording attributes that define subgroups.
_SUBGROUP_ATTRIBUTES = ("sex", "age")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Settings of an evaluation of predictions.

    Attributes:
        threshold_beta: Beta of the F measure that chooses thresholds on validation.
        num_resamples: Number of replicates of the bootstrap by subject.
        min_positives: Number of positives below which a class is marked as rare.
    """

    threshold_beta: float = 1.0
    num_resamples: int = 1000
    min_positives: int = 10

    def __post_init__(self) -> None:
        check_fields(self, "evaluation")


def evaluate_and_report(
    workdir: Path,
    predictions: Mapping[str, Predictions],
    config: EvaluationConfig,
    context: Mapping[str, object],
    *,
    calibration: Calibration | None = None,
    others: Mapping[str, Predictions] | None = None,
    name: str = "this model",
) -> Evaluation:
    """Fit thresholds on validation, evaluate the test split, and write results and predictions.

    Args:
        workdir: Folder for predictions/, calibration.json, evaluation.json, evaluation.md and
            plots/.
        predictions: Predictions of 'validation' and 'test'; the former is optional with
            ``calibration``.
        config: Settings of the evaluation.
        context: Context shown on the report; its 'title' is the headline.
        calibration: Existing calibration; None to fit it on validation.
        others: Predictions of other models on the same test split, for comparison.
        name: Name of this model in the comparison.
    """
    if calibration is None:
        calibration = fit_calibration(predictions["validation"], config.threshold_beta)
    results = {
        split: evaluate(
            split_predictions,
            calibration,
            num_resamples=config.num_resamples,
            min_positives=config.min_positives,
        )
        for split, split_predictions in predictions.items()
    }
    comparisons = compare(
        {name: predictions["test"], **(others or {})},
        name,
        num_resamples=config.num_resamples,
        min_positives=config.min_positives,
    )
    if jax.process_index() == 0:
        for split, split_predictions in predictions.items():
            split_predictions.save(workdir / "predictions" / f"{split}.npz")
        atomic_files.write_json(workdir / "calibration.json", add_seal(calibration.to_json()))
        write_report(
            workdir,
            title=str(context.get("title", "Evaluation")),
            evaluations=results,
            predictions=predictions,
            calibration=calibration,
            context=context,
            comparisons=comparisons,
        )
    return results["test"]


def instance_predictions(
    source: ConcatSource, instances: Instances, logits: np.ndarray
) -> Predictions:
    """Create ``Predictions`` of instances from logits.

    Args:
        source: Source of the recordings.
        instances: Evaluated instances.
        logits: Outputs of the model [U, Y].
    """
    infos = [source.recordings[int(index)] for index in instances.recording]
    attributes = {}
    for name in _SUBGROUP_ATTRIBUTES:
        values = [info.attributes.get(name, "") for info in infos]
        if any(value != "" for value in values):
            attributes[name] = np.asarray([str(value) for value in values])
    return Predictions(
        kind=instances.kind,
        classes=instances.classes,
        instance_ids=instances.ids,
        subjects=np.asarray([info.subject_key for info in infos]),
        logits=np.asarray(logits, np.float64),
        targets=np.asarray(instances.targets, np.float64),
        attributes=attributes,
    )


def selection_metric(kind: str) -> tuple[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Return name and function of the validation metric to maximize.

    Macro AUROC over the classes with positives and negatives in validation; for regression, minus
    the mean absolute error (in standard deviations of the training targets). For segmentation the
    mean F1 by sample over the classes of intervals.
    """
    if kind == "segmentation":
        return "macro_f1", sample_macro_f1
    if kind == "regression":
        return "minus_mae", lambda logits, targets: -float(np.abs(logits - targets).mean())

    def macro_auroc(logits: np.ndarray, targets: np.ndarray) -> float:
        scores = logits
        if kind == "multiclass":
            shifted = logits - logits.max(axis=1, keepdims=True)
            scores = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        weights = np.ones(len(scores))
        values = [
            float(metrics.auroc(scores[:, k], targets[:, k], weights))
            for k in range(scores.shape[1])
        ]
        return float(np.nanmean(values)) if np.isfinite(values).any() else -np.inf

    return "macro_auroc", macro_auroc
