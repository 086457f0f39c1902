"""Metrics of classes from weighted instances, for many weightings at a time; pure NumPy.

Every function takes ``weights`` [U] or [Z, U]: non-negative multiplicities, where an instance of
weight 2 counts as that instance twice and one of weight 0 not at all. Results have the shape
``...`` that precedes U in the weights: scalar or [Z]. Truth (``positive``) and calibration
(``decided``) are 0 or 1 (or bool): [U] of one class, giving [...], or [U, Y] of several, giving
[..., Y], which ``macro`` averages. ``targets`` and ``decided`` of the functions named multiclass
are one-hot.

Undefined values are NaN: no positives or no negatives, nothing decided positive for
a precision, no weight at all. Otherwise all agree with scikit-learn (tested to 1e-9). Metrics of
regressions are in ``regression``.
"""

import dataclasses

import numpy as np

from physio_mae_jax.evaluation.weighted import descending, dot, mean, ratio, running_sum


def auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the receiver operating characteristic of one class.

    It is the probability that a positive scores higher than a negative, ties counting half
    (Hanley and McNeil 1982).
    """
    return ranked(scores, positive, weights)[0]


def average_precision(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over positives of the precision at their score, without interpolation."""
    return ranked(scores, positive, weights)[1]


def ranked(
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
    # For each positive: the weight that scores at least as high, and, for ties, strictly higher.
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

    Multiclass: give scores that order instances by the probability of the class, such as
    ``measures.ranking_scores``; logits do not, as they have a free constant in each instance.
    """
    columns = [auroc(s, t, weights) for s, t in zip(scores.T, targets.T, strict=True)]
    return macro(np.stack(columns, axis=-1))


def macro(values: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """Average over classes; NaN where one of them is undefined or there is none.

    Args:
        values: Values of the classes [..., Y].
        classes: Classes to average [Y] bool; None for all.
    """
    chosen = values if classes is None else values[..., classes]
    return chosen.mean(axis=-1) if chosen.shape[-1] else np.full(values.shape[:-1], np.nan)[()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """Weights of instances by truth and decision, [...] or [..., Y], and the metrics of them."""

    true_positive: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray
    true_negative: np.ndarray

    @classmethod
    def of(cls, decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> "Counts":
        """Count instances, [U] or [U, Y]."""
        said, true = np.asarray(decided, np.float64), np.asarray(positive, np.float64)
        return cls(
            true_positive=weights @ (said * true),
            false_positive=weights @ (said * (1 - true)),
            false_negative=weights @ ((1 - said) * true),
            true_negative=weights @ ((1 - said) * (1 - true)),
        )

    def sensitivity(self) -> np.ndarray:
        """Return the share of positives decided positive (recall)."""
        return ratio(self.true_positive, self.true_positive + self.false_negative)

    def specificity(self) -> np.ndarray:
        """Return the share of negatives decided negative."""
        return ratio(self.true_negative, self.true_negative + self.false_positive)

    def precision(self) -> np.ndarray:
        """Return the share of positives among what was decided positive."""
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    def f1(self) -> np.ndarray:
        """Return the harmonic mean of precision and sensitivity; 0 where no positive is found."""
        present = self.true_positive + self.false_negative > 0
        found = 2 * self.true_positive
        score = ratio(found, found + self.false_positive + self.false_negative)
        return np.where(present, score, np.nan)[()]

    def accuracy(self) -> np.ndarray:
        """Return the share decided correctly."""
        right = self.true_positive + self.true_negative
        return ratio(right, right + self.false_positive + self.false_negative)

    def balanced_accuracy(self) -> np.ndarray:
        """Return the mean of sensitivity and specificity."""
        return (self.sensitivity() + self.specificity()) / 2


def sensitivity(decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.sensitivity``."""
    return Counts.of(decided, positive, weights).sensitivity()


def specificity(decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.specificity``."""
    return Counts.of(decided, positive, weights).specificity()


def precision(decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.precision``."""
    return Counts.of(decided, positive, weights).precision()


def f1(decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.f1``."""
    return Counts.of(decided, positive, weights).f1()


def accuracy(decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.accuracy``."""
    return Counts.of(decided, positive, weights).accuracy()


def balanced_accuracy(decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See ``Counts.balanced_accuracy``."""
    return Counts.of(decided, positive, weights).balanced_accuracy()


def multiclass_accuracy(
    decided: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the share of instances whose class was decided; [U, Y] -> [...]."""
    return mean((decided * targets).sum(axis=-1), weights)


def multiclass_balanced_accuracy(
    decided: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the mean sensitivity of the classes; [U, Y] -> [...]."""
    return macro(sensitivity(decided, targets, weights))


def cohen_kappa(decided: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return agreement beyond chance, (p - e) / (1 - e) (Cohen 1960); one-hot [U, Y] -> [...]."""
    total = weights.sum(axis=-1)
    agreed = weights @ (decided * targets).sum(axis=-1)
    by_chance = ratio(((weights @ decided) * (weights @ targets)).sum(axis=-1), total)
    return ratio(agreed - by_chance, total - by_chance)


def confusion_matrix(decided: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weight of each truth (row) and decision (column), [..., Y, Y], of one-hots."""
    return np.einsum("...u,uk,ul->...kl", weights, targets, decided * 1.0, optimize=True)


def expected_calibration_error(
    probabilities: np.ndarray,
    positive: np.ndarray,
    weights: np.ndarray,
    num_bins: int = 15,
    *,
    equal_mass: bool = False,
) -> np.ndarray:
    """Return the mean over instances of |mean probability - share of positives| in their bin.

    Guo et al. 2017. It is never below zero, so it grows with fewer instances even for a perfectly
    calibrated model; compare it on the same instances only.

    Args:
        probabilities: Probabilities [U], 0 to 1.
        positive: Truth [U], 0 or 1.
        weights: Weights of instances [..., U].
        num_bins: Number of bins of equal width from 0 to 1, each with its lower edge.
        equal_mass: Whether to use bins of equal weight instead. Ties are split in proportion where
            an edge falls among them, so that the order of instances does not matter.
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
