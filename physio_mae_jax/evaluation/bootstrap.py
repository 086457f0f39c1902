"""Confidence intervals by a stratified, paired bootstrap over subjects.

A replicate draws, in each stratum, as many subjects as there are, with replacement; all instances
of a drawn subject count as often as it was drawn. It is stored as a multiplicity of each instance,
so that metrics need no copies, and two models evaluated with the same multiplicities are paired.

Why strata: an unstratified bootstrap loses rare classes. A class with 3 positive subjects is absent
from one replicate in twenty, and either the replicate is discarded or the class excluded from its
macro average. Both change what is estimated, and published intervals can lie below their own point
estimate as a result. Here every class keeps a stratum of its positives, and one of its negatives,
so each replicate averages the same classes as the point estimate. The cost: class frequencies are
fixed (as for AUROC), and a stratum of n subjects shows (n - 1) / n of the variance, so intervals of
classes with few positive subjects are too narrow. In simulations (normal scores, AUROC 0.82, 800
subjects, 2,000 repetitions), nominal 95 % intervals of AUROC cover the truth 78 % of the time with
5 positive subjects, 85 % with 10, 91 % with 20 and 93 % with 50. Replicates of AUROC scatter around
the estimate; those of average precision lie above it, by 0.02 with up to 20 positives, since a
positive drawn twice ranks above the same negatives twice.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.predictions import Predictions

# Elements of 8 bytes; metrics allocate several arrays of this size.
_BLOCK_ELEMENTS = 2_000_000
_LEVEL = 95.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval; NaN if undefined."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Metric of the first model minus that of the second, on the same replicates.

    Attributes:
        estimate: Difference of the point estimates, with its interval.
        share_not_above_zero: Fraction of replicates with a difference of 0 or less.
    """

    estimate: Estimate
    share_not_above_zero: float


def strata(targets: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Assign each subject to a stratum: the rarest class in which it is positive.

    A class is rare if few subjects have it. Subjects positive in no class form the last stratum. A
    class whose positives all have a rarer class would have no own stratum and could be absent from
    a replicate; then the stratum with most of them is split in two, with and without it. Negatives
    are treated in the same way. Hence each class with positives and negatives has both in every
    replicate.

    Args:
        targets: Labels [U, Y], 0 or 1.
        subjects: Subject of each instance [U].

    Returns:
        Stratum of each subject [G], integers, in the order of ``np.unique(subjects)``.
    """
    names, subject_index_of_instance = np.unique(subjects, return_inverse=True)
    membership = []
    for value in (1, 0):
        for column in targets.T:
            is_member = np.zeros(len(names), bool)
            is_member[subject_index_of_instance[column == value]] = True
            membership.append(is_member)
    stratum = np.full(len(names), -1)
    for is_member in sorted(membership[: targets.shape[1]], key=np.count_nonzero):
        stratum[is_member & (stratum < 0)] = stratum.max() + 1
    stratum[stratum < 0] = stratum.max() + 1
    for is_member in membership:
        members = np.bincount(stratum)
        num_inside = np.bincount(stratum[is_member], minlength=len(members))
        if is_member.any() and not ((num_inside == members) & (members > 0)).any():
            stratum[is_member & (stratum == np.argmax(num_inside))] = len(members)
    return np.unique(stratum, return_inverse=True)[1]


def multiplicities(
    subjects: np.ndarray, strata: np.ndarray, num_resamples: int = 1000, seed: int = 0
) -> np.ndarray:
    """Draw all replicates at once; see ``multiplicity_blocks`` for many instances.

    Args:
        subjects: Subject of each instance [U].
        strata: Stratum of each subject [G], from ``strata``.
        num_resamples: Number of replicates Z.
        seed: Random seed; replicate i depends only on it and i.

    Returns:
        Multiplicity of each instance [Z, U], float64.
    """
    return np.concatenate(list(multiplicity_blocks(subjects, strata, num_resamples, seed)))


def multiplicity_blocks(
    subjects: np.ndarray, strata: np.ndarray, num_resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield ``multiplicities`` in blocks of replicates [r, U], to bound memory."""
    names, subject_index_of_instance = np.unique(subjects, return_inverse=True)
    if strata.shape != names.shape:
        raise DataError(f"strata must have shape [{len(names)}]; got {list(strata.shape)}.")
    order = np.argsort(strata, kind="stable")
    _, first, size = np.unique(strata[order], return_index=True, return_counts=True)
    first, size = np.repeat(first, size), np.repeat(size, size)
    subject_index = np.argsort(order)[subject_index_of_instance]
    rows = max(1, _BLOCK_ELEMENTS // len(subjects))
    for start in range(0, num_resamples, rows):
        block = np.empty((min(rows, num_resamples - start), len(subjects)))
        for row, values in enumerate(block):
            drawn = first + np.random.default_rng([seed, start + row]).integers(size)
            values[:] = np.bincount(drawn, minlength=len(order))[subject_index]
        yield block


def replicate(
    measure: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    subjects: np.ndarray,
    strata: np.ndarray,
    *,
    num_resamples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compute the metrics of every replicate.

    Args:
        measure: Function from weights [z, U] to named values [z, ...].
        subjects, strata, num_resamples, seed: Arguments of ``multiplicities``.

    Returns:
        Named values [Z, ...].
    """
    blocks = multiplicity_blocks(subjects, strata, num_resamples, seed)
    measured = [measure(weights) for weights in blocks]
    return {name: np.concatenate([block[name] for block in measured]) for name in measured[0]}


def confidence_interval(values: np.ndarray, point: float) -> Estimate:
    """Return the point estimate with the 95 % percentile interval of its replicates.

    The plain percentile interval is biased for macro averages with rare labels where replicates
    lose classes; with ``strata`` none does. Dropping undefined replicates would condition on their
    value, so a single undefined replicate makes the interval undefined.

    Args:
        values: Values of the replicates [Z].
        point: Estimate on all instances.
    """
    if not len(values) or not np.isfinite(values).all():
        return Estimate(float(point))
    low, high = np.percentile(values, [50 - _LEVEL / 2, 50 + _LEVEL / 2])
    return Estimate(float(point), float(low), float(high))


def paired_difference(
    metric: Callable[[Predictions, np.ndarray], np.ndarray],
    first: Predictions,
    second: Predictions,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two models on the same instances and replicates.

    Args:
        metric: Function (predictions, weights [z, U]) -> [z].
        first, second: Predictions of the same instances, subjects and targets, in the same order.
        num_resamples, seed: Arguments of ``multiplicities``.

    Raises:
        DataError: The predictions are not of the same instances.
    """
    check_pair(first, second)
    groups = get_strata(first)

    def measure_both(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"first": metric(first, weights), "second": metric(second, weights)}

    point = measure_both(np.ones((1, first.num_instances)))
    drawn = replicate(measure_both, first.subjects, groups, num_resamples=num_resamples, seed=seed)
    difference = drawn["first"] - drawn["second"]
    estimate = confidence_interval(difference, float((point["first"] - point["second"])[0]))
    fraction = float(np.mean(difference <= 0)) if np.isfinite(difference).all() else float("nan")
    return PairedDifference(estimate, fraction)


def get_strata(predictions: Predictions) -> np.ndarray:
    """Return ``strata`` of predictions; a single stratum for a regression."""
    if predictions.kind == "regression":
        return np.zeros(len(np.unique(predictions.subjects)), int)
    return strata(predictions.targets, predictions.subjects)


def has_variation(strata: np.ndarray) -> bool:
    """Return whether replicates differ, i.e. some stratum has at least two subjects."""
    return bool(np.bincount(strata).max() > 1)


def check_pair(first: Predictions, second: Predictions) -> None:
    """Raise a DataError unless predictions have the same instances and targets."""
    for name in ("kind", "classes", "instance_ids", "subjects", "targets"):
        first_value = getattr(first, name)
        second_value = getattr(second, name)
        if not np.array_equal(first_value, second_value):
            raise DataError(
                f"two predictions differ in {name}, so they cannot be paired; evaluate "
                "both models on the same instances, in the same order."
            )
