"""Classification metrics of weighted instances, vectorized over bootstrap replicates.

Every function takes ``weights`` [U] or [Z, U]: non-negative multiplicities, an instance of weight 2
counts twice and one of weight 0 is ignored. Results have the shape
``...`` that precedes U in the weights: scalar or [Z]. Truth (``positive``) and predictions
(``predicted``) are 0 or 1 (or bool): [U] of one class, giving [...], or [U, Y] of several, giving
[..., Y], which ``macro`` averages. ``targets`` and ``predicted`` of the multiclass
functions are one-hot.

Undefined values are NaN: no positives or no negatives, no positive predictions for a
precision, or zero total weight. Otherwise all agree with scikit-learn (tested to 1e-9). Metrics of
regressions are in ``regression``.
"""

import dataclasses

import numpy as np

from physio_mae_jax.evaluation.weighted import descending, dot, mean, ratio, running_sum


def auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the receiver operating characteristic of one class.

    It is the probability that a positive scores higher than a negative, ties count half
    (Hanley and McNeil 1982).
    """
    return rank_metrics(scores, positive, weights)[0]


def average_precision(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over positives of the precision at their score, without interpolation."""
    return rank_metrics(scores, positive, weights)[1]


def rank_metrics(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``auroc`` and ``average_precision`` of one class, computed from one sort.

    Args:
        scores: Scores [U]; only their order and ties matter.
        positive: Truth [U], 0 or 1.
        weights: Weights of instances [..., U].
    """
    chosen = np.asarray(positive, bool)
    positives, negatives = descending(scores, chosen), descending(scores, ~chosen)
    high, low = -scores[positives], -scores[negatives]
    weight = np.take(weights, positives, axis=-1)
    true, false = running_sum(weight), running_sum(np.take(weights, negatives, axis=-1))
    # For each positive: the weight of instances that score at least as high, and strictly higher.
    true_here = np.take(true, np.searchsorted(high, high, side="right"), axis=-1)
    false_here = np.take(false, np.searchsorted(low, high, side="right"), axis=-1)
    false_above = np.take(false, np.searchsorted(low, high, side="left"), axis=-1)
    num_true, num_false = true[..., -1], false[..., -1]
    beaten = num_false[..., None] - (false_here + false_above) / 2
    area = ratio(dot(weight, beaten), num_true * num_false)
    precise = dot(weight, ratio(true_here, true_here + false_here, undefined=0.0))
    return area, np.where(num_false == 0, np.nan, ratio(precise, num_true))[()]


def macro_auroc(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over classes of the AUROC of each against the rest; [U, Y] -> [...].

    Multiclass: give use scores that order instances by the probability of the class, such as
    ``metric_sets.ranking_scores``; logits have an arbitrary constant per instance.
    """
    columns = [auroc(s, t, weights) for s, t in zip(scores.T, targets.T, strict=True)]
    return macro(np.stack(columns, axis=-1))


def macro(values: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """Average over classes; NaN if one of them is undefined or there is none.

    Args:
        values: Values of the classes [..., Y].
        classes: Classes to average [Y] bool; None for all.
    """
    chosen = values if classes is None else values[..., classes]
    return chosen.mean(axis=-1) if chosen.shape[-1] else np.full(values.shape[:-1], np.nan)[()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """Total weights by truth and prediction, [...] or [..., Y], and derived metrics."""

    true_positive: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray
    true_negative: np.ndarray

    @classmethod
    def from_predictions(
        cls, predicted: np.ndarray, positive: np.ndarray, weights: np.ndarray
    ) -> "Counts":
        """Count instances, [U] or [U, Y]."""
        predicted_float, true = np.asarray(predicted, np.float64), np.asarray(positive, np.float64)
        return cls(
            true_positive=weights @ (predicted_float * true),
            false_positive=weights @ (predicted_float * (1 - true)),
            false_negative=weights @ ((1 - predicted_float) * true),
            true_negative=weights @ ((1 - predicted_float) * (1 - true)),
        )

    def sensitivity(self) -> np.ndarray:
        """Return the fraction of positives predicted positive (recall)."""
        return ratio(self.true_positive, self.true_positive + self.false_negative)

    def specificity(self) -> np.ndarray:
        """Return the fraction of negatives predicted negative."""
        return ratio(self.true_negative, self.true_negative + self.false_positive)

    def precision(self) -> np.ndarray:
        """Return the fraction of positive predictions that are correct."""
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    def f1(self) -> np.ndarray:
        """Return the harmonic mean of precision and sensitivity; 0 if no positive is found."""
        present = self.true_positive + self.false_negative > 0
        found = 2 * self.true_positive
        score = ratio(found, found + self.false_positive + self.false_negative)
        return np.where(present, score, np.nan)[()]

    def accuracy(self) -> np.ndarray:
        """Return the fraction of correct predictions."""
        num_correct = self.true_positive + self.true_negative
        return ratio(num_correct, num_correct + self.false_positive + self.false_negative)

    def balanced_accuracy(self) -> np.ndarray:
        """Return the mean of sensitivity and specificity."""
        return (self.sensitivity() + self.specificity()) / 2


def sensitivity(predicted: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.sensitivity``."""
    return Counts.from_predictions(predicted, positive, weights).sensitivity()


def specificity(predicted: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.specificity``."""
    return Counts.from_predictions(predicted, positive, weights).specificity()


def precision(predicted: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.precision``."""
    return Counts.from_predictions(predicted, positive, weights).precision()


def f1(predicted: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.f1``."""
    return Counts.from_predictions(predicted, positive, weights).f1()


def accuracy(predicted: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.accuracy``."""
    return Counts.from_predictions(predicted, positive, weights).accuracy()


def balanced_accuracy(
    predicted: np.ndarray, positive: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """See ``Counts.balanced_accuracy``."""
    return Counts.from_predictions(predicted, positive, weights).balanced_accuracy()


def multiclass_accuracy(
    predicted: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the fraction of correctly predicted instances; [U, Y] -> [...]."""
    return mean((predicted * targets).sum(axis=-1), weights)


def cohen_kappa(predicted: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return agreement beyond chance, (p - e) / (1 - e) (Cohen 1960); one-hot [U, Y] -> [...]."""
    total = weights.sum(axis=-1)
    agreed = weights @ (predicted * targets).sum(axis=-1)
    by_chance = ratio(((weights @ predicted) * (weights @ targets)).sum(axis=-1), total)
    return ratio(agreed - by_chance, total - by_chance)


def confusion_matrix(predicted: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weight of each truth (row) and prediction (column), [..., Y, Y], of one-hots."""
    return np.einsum("...u,uk,ul->...kl", weights, targets, predicted * 1.0, optimize=True)


def expected_calibration_error(
    probabilities: np.ndarray,
    positive: np.ndarray,
    weights: np.ndarray,
    num_bins: int = 15,
    *,
    equal_mass: bool = False,
) -> np.ndarray:
    """Return the mean over instances of |mean probability - fraction of positives| in their bin.

    Guo et al. 2017. It is non-negative, so it grows with fewer instances even for a perfectly
    calibrated model; compare it only on the same instances.

    Args:
        probabilities: Probabilities [U], 0 to 1.
        positive: Truth [U], 0 or 1.
        weights: Weights of instances [..., U].
        num_bins: Number of bins of equal width from 0 to 1, each with its lower edge.
        equal_mass: Whether to use bins of equal weight instead. Ties at a bin edge are split
            proportionally, so that the order of instances does not matter.
    """
    gap = probabilities - positive
    if equal_mass:
        rows = weights.reshape(-1, weights.shape[-1])
        sums = np.stack([_mass_bins(probabilities, gap, row, num_bins) for row in rows])
        sums = sums.reshape(*weights.shape[:-1], num_bins)
    else:
        bins = np.minimum((probabilities * num_bins).astype(int), num_bins - 1)
        sums = weights @ np.where(bins[:, None] == np.arange(num_bins), gap[:, None], 0.0)
    return ratio(np.abs(sums).sum(axis=-1), weights.sum(axis=-1))


def _mass_bins(
    probabilities: np.ndarray, gap: np.ndarray, weights: np.ndarray, num_bins: int
) -> np.ndarray:
    _, group = np.unique(probabilities, return_inverse=True)
    mass = running_sum(np.bincount(group, weights))
    gaps = running_sum(np.bincount(group, weights * gap))
    kept = np.concatenate([[True], np.diff(mass) > 0])
    return np.diff(np.interp(np.linspace(0, mass[-1], num_bins + 1), mass[kept], gaps[kept]))


def brier(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean squared error of the probability, of each class."""
    return mean((probabilities - targets) ** 2, weights)


def multiclass_brier(
    probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the squared errors summed over classes, 0 to 2 (Brier 1950); [U, Y] -> [...]."""
    return mean(((probabilities - targets) ** 2).sum(axis=-1), weights)


def log_loss(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean negative log-likelihood (nats) of each class separately.

    Probabilities are clipped by a rounding error at 0 and 1, as in scikit-learn.
    """
    tiny = np.finfo(np.float64).eps
    p = np.clip(probabilities, tiny, 1 - tiny)
    return mean(-np.where(np.asarray(targets, bool), np.log(p), np.log1p(-p)), weights)


def multiclass_log_loss(
    probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the mean negative log-probability (nats) of the true class; [U, Y] -> [...]."""
    true = np.clip((probabilities * targets).sum(axis=-1), np.finfo(np.float64).eps, 1)
    return mean(-np.log(true), weights)
