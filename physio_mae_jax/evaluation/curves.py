"""Data points of the plots of an evaluation."""

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from physio_mae_jax.evaluation import metric_sets, metrics
from physio_mae_jax.evaluation.calibration import Calibration, uncalibrated_probabilities
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.results import ClassResult, Evaluation
from physio_mae_jax.plots.evaluation import MAX_CURVES, Agreement, Curve, Reliability
from physio_mae_jax.printable import printable

_GRID = np.linspace(0, 1, 501)
_BINS = 10
# Maximum length of a class name in a legend.
_MAX_NAME = 80
# Bins with fewer instances are too noisy to draw.
_MIN_IN_BIN = 5
_Z = 1.959963984540054


def shown_classes(evaluation: Evaluation) -> list[int]:
    """Return the classes to draw: the 8 with the most positives."""
    rows = [k for k, row in enumerate(evaluation.by_class) if not row.is_absent]
    frequent = sorted(rows, key=lambda k: -evaluation.by_class[k].num_positives)
    return sorted(frequent[:MAX_CURVES])


def roc_curves(
    predictions: Predictions, evaluation: Evaluation
) -> tuple[list[Curve], Curve | None]:
    """Return the curves of the selected classes and the average over all classes.

    Mean sensitivity at each 1 - spec.
    """
    scores = metric_sets.ranking_scores(predictions)
    lines, averaged = [], []
    for k, row in enumerate(evaluation.by_class):
        if not row.is_absent:
            x, y, _ = roc_curve(predictions.targets[:, k], scores[:, k])
            averaged.append(np.interp(_GRID, x, y))
            lines.append(
                (
                    k,
                    Curve(
                        label=f"{_display_class_name(row)}  {_format_metric(row, 'auroc')}",
                        x=x,
                        y=y,
                    ),
                )
            )
    return _select_curves(lines, evaluation), _average(averaged, evaluation, "macro_auroc")


def precision_recall_curves(
    predictions: Predictions, evaluation: Evaluation
) -> tuple[list[Curve], Curve | None]:
    """Return the curves of the selected classes and the average over all classes: mean precision at
    each sensitivity.

    Drawn as steps, as average precision sums them: linear interpolation would be optimistic.
    """
    scores = metric_sets.ranking_scores(predictions)
    lines, averaged = [], []
    for k, row in enumerate(evaluation.by_class):
        if not row.is_absent:
            precision, recall, _ = precision_recall_curve(predictions.targets[:, k], scores[:, k])
            # The curve starts at the first true positive; before it, precision is 0 or undefined.
            found = recall > 0
            precision, recall = precision[found][::-1], recall[found][::-1]
            index = np.searchsorted(recall, _GRID, side="left")
            steps = precision[np.minimum(index, len(precision) - 1)]
            averaged.append(steps)
            label = (
                f"{_display_class_name(row)}  {_format_metric(row, 'average_precision')}, "
                f"by chance {row.num_positives / predictions.num_instances:.2f}"
            )
            x, y = _staircase(recall, precision)
            lines.append((k, Curve(label=label, x=x, y=y)))
    return _select_curves(lines, evaluation), _average(
        averaged, evaluation, "macro_average_precision"
    )


def confusion_table(
    evaluation: Evaluation,
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Return row-normalized fractions, counts, and row and column names of a confusion matrix.

    Multiclass: truth by prediction. Otherwise one row per class: true positives, false negatives,
    false positives and true negatives.
    """
    counts = np.asarray(evaluation.confusion)
    names = list(evaluation.classes)
    if evaluation.kind == "multiclass":
        totals = counts.sum(axis=1, keepdims=True)
        columns = names
    else:
        totals = np.repeat(counts.reshape(-1, 2, 2).sum(axis=2), 2, axis=1)
        columns = [
            "positive,\nfound",
            "positive,\nmissed",
            "negative,\nfalse alarm",
            "negative,\ncorrect",
        ]
    fractions = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    return fractions, counts, names, columns


def reliabilities(
    predictions: Predictions, calibration: Calibration, evaluation: Evaluation
) -> list[tuple[str, Reliability, Reliability]]:
    """Return name and bins before and after calibration of the selected classes.

    Bins with fewer than 5 instances are omitted.
    """
    before = uncalibrated_probabilities(predictions)
    after = calibration.probabilities(predictions.logits)
    return [
        (
            evaluation.classes[k],
            _reliability(before[:, k], predictions.targets[:, k]),
            _reliability(after[:, k], predictions.targets[:, k]),
        )
        for k in shown_classes(evaluation)
    ]


def agreements(predictions: Predictions, evaluation: Evaluation) -> list[Agreement]:
    """Return the agreement of at most 8 regression targets."""
    found = []
    for k, row in enumerate(evaluation.by_class[:MAX_CURVES]):
        figures = {name: estimate.value for name, estimate in row.metrics.items()}
        found.append(
            Agreement(
                name=row.name,
                true=predictions.targets[:, k],
                predicted=predictions.logits[:, k],
                note=f"MAE {figures['mae']:.3g}, r {figures['pearson_r']:.2f}, "
                f"R² {figures['r2']:.2f}",
                bias=figures["bias"],
                low=figures["lower_limit_of_agreement"],
                high=figures["upper_limit_of_agreement"],
            )
        )
    return found


def wilson(successes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % interval of a proportion (Wilson 1927); assumes independent instances."""
    fraction = successes / counts
    middle = (fraction + _Z**2 / (2 * counts)) / (1 + _Z**2 / counts)
    half = _Z * np.sqrt(fraction * (1 - fraction) / counts + _Z**2 / (4 * counts**2))
    half = half / (1 + _Z**2 / counts)
    return middle - half, middle + half


def _reliability(probabilities: np.ndarray, positive: np.ndarray) -> Reliability:
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    is_full = counts >= _MIN_IN_BIN
    counts, n = counts[is_full], counts[is_full].astype(float)
    successes = np.bincount(bins, positive, minlength=_BINS)[is_full]
    low, high = wilson(successes, n)
    error = metrics.expected_calibration_error(probabilities, positive, np.ones(len(positive)))
    return Reliability(
        predicted=np.bincount(bins, probabilities, minlength=_BINS)[is_full] / n,
        observed=successes / n,
        low=low,
        high=high,
        counts=counts,
        error=float(error),
    )


def _select_curves(lines: list[tuple[int, Curve]], evaluation: Evaluation) -> list[Curve]:
    by_class = dict(lines)
    return [by_class[k] for k in shown_classes(evaluation)]


def _average(averaged: list[np.ndarray], evaluation: Evaluation, metric: str) -> Curve | None:
    if len(averaged) < 2:
        return None
    value = evaluation.overall[metric].value
    label = f"mean of {len(averaged)} classes  {value:.3f}"
    return Curve(label=label, x=_GRID, y=np.mean(averaged, axis=0))


def _staircase(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = np.concatenate([[0.0], recall[:-1]])
    return np.stack([starts, recall], axis=1).ravel(), np.repeat(precision, 2)


def _display_class_name(row: ClassResult) -> str:
    name = printable(row.name, _MAX_NAME)
    return f"{name}*" if row.rare else name


def _format_metric(row: ClassResult, metric: str) -> str:
    return f"{row.metrics[metric].value:.3f}"
