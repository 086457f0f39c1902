"""Metrics of classes of samples: F1 by sample, and errors of onsets and offsets.

Samples without a label, and channels without a signal, are in no metric. Intervals resample
subjects with replacement.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from physio_mae_jax.evaluation.bootstrap import Estimate, confidence_interval, multiplicities
from physio_mae_jax.evaluation.boundaries import BOUNDARIES, TOLERANCE_MS, match_boundaries
from physio_mae_jax.evaluation.results import plain
from physio_mae_jax.evaluation.segmentation_predictions import SegmentationPredictions
from physio_mae_jax.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoundaryResult:
    """Onsets or offsets of a class.

    Attributes:
        num_annotated: Number of annotated boundaries in all channels.
        sensitivity: Share of them that a predicted one of the class is within the tolerance of.
        ppv: Positive predictive value: share of the predicted ones that find an annotated one.
        f1: Harmonic mean of both.
        mean_error_ms, sd_error_ms: Mean and standard deviation over matched pairs of the predicted
            time minus the annotated one (ms).
    """

    num_annotated: int
    sensitivity: Estimate
    ppv: Estimate
    f1: Estimate
    mean_error_ms: float
    sd_error_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentResult:
    """One class.

    Attributes:
        name: Name of the class.
        num_samples: Number of labeled samples of the class in all channels.
        sensitivity, ppv, f1: By sample.
        boundaries: Results of 'onset' and 'offset'; empty for samples in no interval.
    """

    name: str
    num_samples: int
    sensitivity: Estimate
    ppv: Estimate
    f1: Estimate
    boundaries: Mapping[str, BoundaryResult]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationEvaluation:
    """All metrics of one model on one split of the data.

    Attributes:
        classes: Class names [Y]; the first is that of samples in no interval.
        num_recordings, num_subjects: Number of evaluated recordings and subjects.
        num_samples: Number of labeled samples in all channels.
        macro_f1: Mean F1 by sample over the classes of intervals that occur.
        accuracy: Share of labeled samples whose class is predicted.
        by_class: Results of each class.
        confusion: Labeled samples [Y][Y] by annotated (row) and predicted class.
        sampling_rate_hz: Rate of the samples (Hz), the resolution of the errors.
        tolerance_ms: Largest distance of a boundary that is found (ms).
        num_resamples, seed: Number of bootstrap replicates, and their seed.
    """

    classes: tuple[str, ...]
    num_recordings: int
    num_subjects: int
    num_samples: int
    macro_f1: Estimate
    accuracy: Estimate
    by_class: tuple[SegmentResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    sampling_rate_hz: float
    tolerance_ms: float
    num_resamples: int
    seed: int

    def to_json(self) -> JsonObject:
        """Return the JSON content; null if a metric is undefined."""
        return plain(self)


def evaluate_segmentation(
    predictions: SegmentationPredictions, *, num_resamples: int = 1000, seed: int = 0
) -> SegmentationEvaluation:
    """Evaluate predicted classes of samples.

    Args:
        predictions: Predictions of held-out subjects.
        num_resamples, seed: Number of bootstrap replicates, and their seed.
    """
    subjects = sorted(set(predictions.subjects.tolist()))
    counts = _count(predictions, subjects)
    weights = _Weights.draw(len(subjects), num_resamples, seed)
    total = counts.confusion.sum(axis=0)
    present = total.sum(axis=1) > 0
    present[0] = False
    return SegmentationEvaluation(
        classes=predictions.classes,
        num_recordings=len(set(predictions.recordings.tolist())),
        num_subjects=len(subjects),
        num_samples=int(total.sum()),
        macro_f1=weights.estimate(counts.confusion, lambda c: _mean_f1(c, present)),
        accuracy=weights.estimate(counts.confusion, _accuracy),
        by_class=tuple(
            _segment_result(predictions, k, counts, weights)
            for k in range(len(predictions.classes))
        ),
        confusion=tuple(tuple(row) for row in total.tolist()),
        sampling_rate_hz=predictions.sampling_rate_hz,
        tolerance_ms=TOLERANCE_MS,
        num_resamples=num_resamples,
        seed=seed,
    )


def sample_macro_f1(predicted: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean F1 by sample over the classes of intervals that occur.

    Args:
        predicted, targets: Index of the class of each sample, 0 for no interval; pairs with a
            negative one are not counted.
    """
    num_classes = 1 + max(int(predicted.max()), int(targets.max()), 0)
    confusion = _confusion(predicted, targets, num_classes)
    present = confusion.sum(axis=1) > 0
    present[0] = False
    value = float(_mean_f1(confusion[None], present)[0])
    return value if np.isfinite(value) else -np.inf


@dataclasses.dataclass(frozen=True, eq=False)
class _Counts:
    """Counts of each subject.

    Attributes:
        confusion: [G, Y, Y] labeled samples by annotated and predicted class.
        boundaries: (class, boundary) -> [G, 3] found, missed and extra.
        errors: (class, boundary) -> errors of the found ones, in samples.
    """

    confusion: np.ndarray
    boundaries: Mapping[tuple[int, str], np.ndarray]
    errors: Mapping[tuple[int, str], np.ndarray]


def _count(predictions: SegmentationPredictions, subjects: list[str]) -> _Counts:
    num_classes, number = len(predictions.classes), {s: g for g, s in enumerate(subjects)}
    confusion = np.zeros((len(subjects), num_classes, num_classes), np.int64)
    keys = [(k, name) for k in range(1, num_classes) for name in BOUNDARIES]
    boundaries = {key: np.zeros((len(subjects), 3), np.int64) for key in keys}
    errors: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    tolerance = TOLERANCE_MS / 1000 * predictions.sampling_rate_hz
    for track in predictions.tracks():
        subject = number[track.subject]
        confusion[subject] += _confusion(track.predicted, track.targets, num_classes)
        for k in range(1, num_classes):
            matches = match_boundaries(track.predicted, track.targets, k, tolerance)
            for name, match in matches.items():
                found = (len(match.errors), match.num_missed, match.num_extra)
                boundaries[k, name][subject] += np.asarray(found)
                errors[k, name].append(match.errors)
    joined = {key: np.concatenate(errors[key]) if errors[key] else np.zeros(0) for key in keys}
    return _Counts(confusion, boundaries, joined)


def _confusion(predicted: np.ndarray, targets: np.ndarray, num_classes: int) -> np.ndarray:
    """Count samples [Y, Y] by annotated and predicted class."""
    counted = (predicted >= 0) & (targets >= 0)
    pairs = targets[counted].astype(np.int64) * num_classes + predicted[counted]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclasses.dataclass(frozen=True, eq=False)
class _Weights:
    """Multiplicity [Z, G] of each subject in each replicate; None for a single subject."""

    drawn: np.ndarray | None

    @classmethod
    def draw(cls, num_subjects: int, num_resamples: int, seed: int) -> "_Weights":
        if num_subjects < 2:
            return cls(None)
        names = np.arange(num_subjects).astype(str)
        one_stratum = np.zeros(num_subjects, int)
        # ``multiplicities`` orders subjects by name, which does not matter in one stratum.
        return cls(multiplicities(names, one_stratum, num_resamples, seed))

    def estimate(self, counts: np.ndarray, metric: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        """Estimate a metric [z] of counts [z, …] from those of each subject [G, …]."""
        point = float(metric(counts.sum(axis=0, keepdims=True))[0])
        if self.drawn is None:
            return Estimate(point)
        return confidence_interval(metric(np.tensordot(self.drawn, counts, axes=1)), point)


def _segment_result(
    predictions: SegmentationPredictions, k: int, counts: _Counts, weights: _Weights
) -> SegmentResult:
    by_sample = _one_against_rest(counts.confusion, k)
    milliseconds = 1000 / predictions.sampling_rate_hz
    boundaries = {}
    for name in BOUNDARIES if k else ():
        found, errors = counts.boundaries[k, name], counts.errors[k, name] * milliseconds
        boundaries[name] = BoundaryResult(
            num_annotated=int(found[:, :2].sum()),
            **_rates(found, weights),
            mean_error_ms=float(errors.mean()) if len(errors) else float("nan"),
            sd_error_ms=float(errors.std(ddof=1)) if len(errors) > 1 else float("nan"),
        )
    return SegmentResult(
        name=predictions.classes[k],
        num_samples=int(by_sample[:, :2].sum()),
        **_rates(by_sample, weights),
        boundaries=boundaries,
    )


def _rates(counts: np.ndarray, weights: _Weights) -> dict[str, Estimate]:
    """Return the rates of counts [G, 3]: true positives, false negatives, false positives."""
    return {
        "sensitivity": weights.estimate(counts, lambda n: _share(n[:, 0], n[:, :2].sum(axis=1))),
        "ppv": weights.estimate(counts, lambda n: _share(n[:, 0], n[:, 0] + n[:, 2])),
        "f1": weights.estimate(counts, _f1),
    }


def _one_against_rest(confusion: np.ndarray, k: int) -> np.ndarray:
    """Return true positives, false negatives and false positives [G, 3] of a class."""
    hits = confusion[:, k, k]
    missed, extra = confusion[:, k].sum(axis=1) - hits, confusion[:, :, k].sum(axis=1) - hits
    return np.stack([hits, missed, extra], axis=1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _f1(counts: np.ndarray) -> np.ndarray:
    return _share(2 * counts[:, 0], 2 * counts[:, 0] + counts[:, 1] + counts[:, 2])


def _mean_f1(confusion: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Average F1 over classes [Y] bool of confusions [z, Y, Y]."""
    chosen = np.flatnonzero(classes).tolist()
    if not chosen:
        return np.full(len(confusion), np.nan)
    return np.mean([_f1(_one_against_rest(confusion, k)) for k in chosen], axis=0)


def _accuracy(confusion: np.ndarray) -> np.ndarray:
    return _share(np.trace(confusion, axis1=1, axis2=2), confusion.sum(axis=(1, 2)))
