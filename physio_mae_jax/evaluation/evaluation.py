"""Evaluate predictions: metrics with intervals, rare classes, subgroups, paired comparisons.

Three common sources of optimistic bias are excluded. Thresholds are not chosen on the evaluated
instances but come with the ``Calibration`` of the validation split. Macro averages are reported
with and without classes that have only a few positives. Intervals resample subjects and do not
treat the windows of a subject as independent.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import metric_sets, metrics
from physio_mae_jax.evaluation.bootstrap import (
    Estimate,
    check_pair,
    confidence_interval,
    get_strata,
    has_variation,
    paired_difference,
    replicate,
)
from physio_mae_jax.evaluation.calibration import Calibration, uncalibrated_probabilities
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.results import (
    CalibrationResult,
    ClassResult,
    Comparison,
    Evaluation,
)
from physio_mae_jax.evaluation.subgroups import evaluate_subgroups, num_unknown

# Fewer subjects have no variance, see ``bootstrap.has_variation``.
_MIN_SUBJECTS = 2


def evaluate(
    test: Predictions,
    calibration: Calibration,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    min_positives: int = 10,
) -> Evaluation:
    """Evaluate a model on held-out subjects.

    Args:
        test: Predictions to evaluate.
        calibration: Calibration and thresholds, fitted on the validation split for the same model.
        num_resamples: Number of bootstrap replicates.
        seed: Random seed of the bootstrap.
        min_positives: Minimum of positive and of negative instances below which a class is rare,
            and below which it is excluded from the average of a subgroup.

    Raises:
        DataError: the calibration is of another kind or has other classes.
    """
    calibration.check(test)
    present, frequent = _classes(test, min_positives)
    metrics = _measure(test, calibration, num_resamples, seed)
    return Evaluation(
        kind=test.kind,
        classes=test.classes,
        main_metric=metric_sets.MAIN_METRICS[test.kind],
        num_instances=test.num_instances,
        num_subjects=len(np.unique(test.subjects)),
        num_threshold_subjects=calibration.num_shared_subjects(test),
        overall=metrics.averages(test, present) | metrics.overall(),
        overall_frequent=({} if (frequent == present).all() else metrics.averages(test, frequent)),
        by_class=tuple(
            _class_result(test, k, not frequent[k], metrics) for k in range(len(test.classes))
        ),
        calibration=_calibration(test, calibration, present),
        confusion=_confusion(test, calibration),
        subgroups=evaluate_subgroups(
            test, num_resamples=num_resamples, seed=seed, min_positives=min_positives
        ),
        num_unknown=num_unknown(test),
        num_resamples=num_resamples,
        seed=seed,
        min_positives=min_positives,
    )


def compare(
    evaluated: Mapping[str, Predictions],
    reference: str,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    min_positives: int = 10,
) -> tuple[Comparison, ...]:
    """Compare models with a reference on the same instances and replicates.

    The main metric needs no thresholds, so no calibration is required. Intervals are not widened
    for the number of comparisons.

    Args:
        evaluated: Predictions by the name of the model.
        reference: Name of the reference model.
        num_resamples, seed, min_positives: Arguments of ``evaluate``.

    Returns:
        Difference of each other model over all classes and, if some are rare, without these.

    Raises:
        DataError: The reference is missing, or predictions are not of the same instances.
    """
    if reference not in evaluated:
        raise DataError(f"reference must be one of {', '.join(evaluated)}; got {reference!r}.")
    base = evaluated[reference]
    name = metric_sets.MAIN_METRICS[base.kind]
    present, frequent = _classes(base, min_positives)
    sets = {name: present}
    if (frequent != present).any():
        sets[f"{name} without rare classes"] = frequent
    found = []
    for other, predictions in evaluated.items():
        if other == reference:
            continue
        check_pair(predictions, base)
        for label, classes in sets.items():
            metric = functools.partial(metric_sets.main_metric, classes=classes)
            ones = np.ones(base.num_instances)
            difference = paired_difference(
                metric, predictions, base, num_resamples=num_resamples, seed=seed
            )
            comparison = Comparison(
                name=other,
                reference=reference,
                metric=label,
                value=float(metric(predictions, ones)),
                reference_value=float(metric(base, ones)),
                difference=difference,
            )
            found.append(comparison)
    return tuple(found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Metrics:
    """Metrics of all instances and of every replicate, by name.

    Attributes:
        class_points, class_draws: Metrics of each class, [1, Y] and [Z, Y].
        overall_points, overall_draws: Metrics over all classes, [1] and [Z].
        has_interval: Whether replicates differ.
    """

    class_points: Mapping[str, np.ndarray]
    class_draws: Mapping[str, np.ndarray]
    overall_points: Mapping[str, np.ndarray]
    overall_draws: Mapping[str, np.ndarray]
    has_interval: bool

    def averages(self, predictions: Predictions, classes: np.ndarray) -> dict[str, Estimate]:
        """Average metrics over classes [Y] bool.

        In a regression only those that can be averaged.
        """
        names = {name: f"macro_{name}" for name in self.class_points}
        if predictions.kind == "multiclass":
            names["sensitivity"] = "balanced_accuracy"
        elif predictions.kind == "regression":
            is_multi_target = len(predictions.classes) > 1
            names = {name: name for name in names if name == "mae" or not is_multi_target}
        return {
            label: self._estimate(
                metrics.macro(self.class_draws[name], classes),
                metrics.macro(self.class_points[name], classes),
            )
            for name, label in names.items()
        }

    def overall(self) -> dict[str, Estimate]:
        """Return the metrics over all classes."""
        return {
            name: self._estimate(self.overall_draws[name], point)
            for name, point in self.overall_points.items()
        }

    def for_class(self, k: int, has_interval: bool) -> dict[str, Estimate]:
        """Return the metrics of one class."""
        return {
            name: self._estimate(self.class_draws[name][:, k], point[:, k], has_interval)
            for name, point in self.class_points.items()
        }

    def _estimate(
        self, drawn: np.ndarray, point: np.ndarray, has_interval: bool = True
    ) -> Estimate:
        if not (has_interval and self.has_interval):
            return Estimate(float(point[0]))
        return confidence_interval(drawn, float(point[0]))


def _measure(
    predictions: Predictions, calibration: Calibration, num_resamples: int, seed: int
) -> _Metrics:
    measure_classes = metric_sets.class_measure(predictions, calibration)
    measure_overall = metric_sets.instance_measure(predictions, calibration)
    strata = get_strata(predictions)
    drawn = replicate(
        lambda weights: measure_classes(weights) | measure_overall(weights),
        predictions.subjects,
        strata,
        num_resamples=num_resamples,
        seed=seed,
    )
    ones = np.ones((1, predictions.num_instances))
    class_points, overall_points = measure_classes(ones), measure_overall(ones)
    return _Metrics(
        class_points=class_points,
        class_draws={name: drawn[name] for name in class_points},
        overall_points=overall_points,
        overall_draws={name: drawn[name] for name in overall_points},
        has_interval=has_variation(strata),
    )


def _classes(predictions: Predictions, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes [Y] bool that can be evaluated, and those of them that are not rare."""
    present = metric_sets.evaluated_classes(predictions, 1)
    if predictions.kind == "regression":
        return present, present
    return present, metric_sets.evaluated_classes(predictions, minimum)


def _class_result(predictions: Predictions, k: int, rare: bool, metrics: _Metrics) -> ClassResult:
    name = predictions.classes[k]
    if predictions.kind == "regression":
        return ClassResult(name=name, rare=rare, metrics=metrics.for_class(k, True))
    positive = predictions.targets[:, k] == 1
    subjects = [len(np.unique(predictions.subjects[side])) for side in (positive, ~positive)]
    return ClassResult(
        name=name,
        num_positives=int(positive.sum()),
        num_negatives=int((~positive).sum()),
        num_positive_subjects=subjects[0],
        num_negative_subjects=subjects[1],
        rare=rare,
        metrics=metrics.for_class(k, min(subjects) >= _MIN_SUBJECTS),
    )


def _calibration(
    predictions: Predictions, calibration: Calibration, present: np.ndarray
) -> tuple[CalibrationResult, ...]:
    """Return the overall calibration first, then that of each class."""
    if predictions.kind == "regression":
        return ()
    sides = [
        metric_sets.calibration_measure(probabilities, predictions.targets, predictions.kind)
        for probabilities in (
            uncalibrated_probabilities(predictions),
            calibration.probabilities(predictions.logits),
        )
    ]
    names = list(predictions.classes)
    if predictions.kind == "multiclass":
        names.append("predicted class")
    elif present.any():
        names.append("mean of classes")
        for rows in sides:
            present_rows = [
                row for row, is_present in zip(rows, present, strict=True) if is_present
            ]
            rows.append(
                {n: float(np.mean([row[n] for row in present_rows])) for n in present_rows[0]}
            )
    found = [
        CalibrationResult(name=name, before=before, after=after)
        for name, before, after in zip(names, *sides, strict=True)
    ]
    return (*found[len(predictions.classes) :], *found[: len(predictions.classes)])


def _confusion(predictions: Predictions, calibration: Calibration) -> tuple[tuple[int, ...], ...]:
    if predictions.kind == "regression":
        return ()
    predicted = calibration.predict_classes(calibration.probabilities(predictions.logits))
    ones = np.ones(predictions.num_instances)
    if predictions.kind == "multiclass":
        table = metrics.confusion_matrix(predicted, predictions.targets, ones)
    else:
        n = metrics.Counts.from_predictions(predicted, predictions.targets, ones)
        columns = (n.true_positive, n.false_negative, n.false_positive, n.true_negative)
        table = np.stack(columns, axis=1)
    return tuple(tuple(round(value) for value in row) for row in table.tolist())
