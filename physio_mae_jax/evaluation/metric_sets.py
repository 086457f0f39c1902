"""The metrics of each problem type; pure functions of predictions and weights."""

from collections.abc import Callable

import numpy as np
from scipy.special import log_softmax, logsumexp

from physio_mae_jax.evaluation import metrics, regression
from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.predictions import Predictions

MAIN_METRICS = {"multilabel": "macro_auroc", "multiclass": "macro_auroc", "regression": "mae"}

Measure = Callable[[np.ndarray], dict[str, np.ndarray]]


def ranking_scores(predictions: Predictions) -> np.ndarray:
    """Return scores that order instances in each class, [U, Y], before any calibration.

    Multiclass: the log-odds of each class against the rest. They order instances like
    probabilities but do not saturate at 0 and 1, where rounding would create ties.
    """
    if predictions.kind != "multiclass":
        return predictions.logits
    chance = log_softmax(predictions.logits, axis=1)
    instances, best = np.arange(predictions.num_instances), np.argmax(chance, axis=1)
    others = chance.copy()
    others[instances, best] = -np.inf
    with np.errstate(divide="ignore"):
        rest = np.log1p(-np.exp(chance))
    # Near 1 the difference above loses precision; summing the other classes does not.
    rest[instances, best] = logsumexp(others, axis=1)
    return chance - rest


def evaluated_classes(predictions: Predictions, minimum: int) -> np.ndarray:
    """Return the classes [Y] bool with at least ``minimum`` positive and negative instances.

    In a regression all or none, depending on the number of instances.
    """
    if predictions.kind == "regression":
        return np.full(len(predictions.classes), predictions.num_instances >= minimum)
    positives = predictions.targets.sum(axis=0)
    return np.minimum(positives, predictions.num_instances - positives) >= minimum


def main_metric(
    predictions: Predictions, weights: np.ndarray, classes: np.ndarray | None = None
) -> np.ndarray:
    """Return macro AUROC, or the mean absolute error of a regression, [Z, U] -> [Z].

    Args:
        predictions: Predictions to evaluate.
        weights: Weights of instances [..., U].
        classes: Classes to average [Y] bool; None for all.
    """
    chosen = np.ones(len(predictions.classes), bool) if classes is None else classes
    if predictions.kind == "regression":
        errors = regression.mean_absolute_error(predictions.logits, predictions.targets, weights)
        return metrics.macro(errors, chosen)
    if not chosen.any():
        return np.full(weights.shape[:-1], np.nan)[()]
    scores = ranking_scores(predictions)[:, chosen]
    return metrics.macro_auroc(scores, predictions.targets[:, chosen], weights)


def class_measure(predictions: Predictions, calibration: Calibration) -> Measure:
    """Return the function weights [z, U] -> metrics of each class [z, Y].

    Terms that do not depend on weights are computed once.
    """
    true = predictions.targets
    if predictions.kind == "regression":
        return lambda weights: _regression(predictions.logits, true, weights)
    scores = ranking_scores(predictions)
    probabilities = calibration.probabilities(predictions.logits)
    predicted = calibration.predict_classes(probabilities)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        columns = [
            metrics.rank_metrics(s, t, weights) for s, t in zip(scores.T, true.T, strict=True)
        ]
        counts = metrics.Counts.from_predictions(predicted, true, weights)
        return {
            "auroc": np.stack([column[0] for column in columns], axis=-1),
            "average_precision": np.stack([column[1] for column in columns], axis=-1),
            "f1": counts.f1(),
            "sensitivity": counts.sensitivity(),
            "specificity": counts.specificity(),
            "precision": counts.precision(),
            "brier": metrics.brier(probabilities, true, weights),
        }

    return measure


def instance_measure(predictions: Predictions, calibration: Calibration) -> Measure:
    """Return the function weights [z, U] -> metrics [z] over all classes (multiclass tasks)."""
    if predictions.kind != "multiclass":
        return lambda weights: {}
    true = predictions.targets
    probabilities = calibration.probabilities(predictions.logits)
    predicted = calibration.predict_classes(probabilities)
    return lambda weights: {
        "accuracy": metrics.multiclass_accuracy(predicted, true, weights),
        "cohen_kappa": metrics.cohen_kappa(predicted, true, weights),
        "multiclass_brier": metrics.multiclass_brier(probabilities, true, weights),
    }


def _regression(
    predicted: np.ndarray, true: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    low, high = regression.limits_of_agreement(predicted, true, weights)
    return {
        "mae": regression.mean_absolute_error(predicted, true, weights),
        "rmse": regression.root_mean_squared_error(predicted, true, weights),
        "r2": regression.r2(predicted, true, weights),
        "pearson_r": regression.pearson_r(predicted, true, weights),
        "bias": regression.bias(predicted, true, weights),
        "lower_limit_of_agreement": low,
        "upper_limit_of_agreement": high,
    }


def calibration_measure(
    probabilities: np.ndarray, targets: np.ndarray, kind: str
) -> list[dict[str, float]]:
    """Return calibration errors, without intervals.

    Calibration errors are biased upwards in small samples, even more so in bootstrap replicates,
    whose percentiles might not include the point estimate.

    Args:
        probabilities: Probabilities [U, Y].
        targets: Targets [U, Y].
        kind: Kind of the task.

    Returns:
        For each class 'ece', 'ece_equal_mass', 'brier' and 'log_loss'; and last, for multiclass
        tasks, those of the predicted class ('ece' of the highest probability, Guo et al. 2017).
    """
    ones = np.ones(len(targets))
    rows = [
        _binary_calibration(p, t, ones) for p, t in zip(probabilities.T, targets.T, strict=True)
    ]
    if kind == "multiclass":
        best = np.argmax(probabilities, axis=1)
        num_correct = targets[np.arange(len(targets)), best]
        row = _binary_calibration(probabilities.max(axis=1), num_correct, ones)
        row["brier"] = float(metrics.multiclass_brier(probabilities, targets, ones))
        row["log_loss"] = float(metrics.multiclass_log_loss(probabilities, targets, ones))
        rows.append(row)
    return rows


def _binary_calibration(p: np.ndarray, t: np.ndarray, ones: np.ndarray) -> dict[str, float]:
    equal_mass = metrics.expected_calibration_error(p, t, ones, equal_mass=True)
    return {
        "ece": float(metrics.expected_calibration_error(p, t, ones)),
        "ece_equal_mass": float(equal_mass),
        "brier": float(metrics.brier(p, t, ones)),
        "log_loss": float(metrics.log_loss(p, t, ones)),
    }
