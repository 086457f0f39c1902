"""Calibration and thresholds, fitted on the validation split only.

Selecting a threshold, temperature or model on the evaluated instances biases the metrics upwards.
So ``fit_calibration`` takes the validation split, and ``evaluation.evaluate`` takes its result. A
calibration stores hashes of its subjects, so that an evaluation can report an overlap.
"""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from physio_mae_jax.data.fingerprints import text_hash
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.inference.class_decision import ClassDecision, sigmoid
from physio_mae_jax.types import JsonObject

# A Gaussian prior of variance 10 around the identity, weaker than one instance: it keeps slopes
# finite for separable classes and dominates if there are few positives.
_RIDGE = 0.1
_HINT = "copy the run again, or run its command again."
# Positive slopes preserve the order of instances.
_MIN_SLOPE = 1e-3
_LOG_TEMPERATURES = (-4.0, 4.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration(ClassDecision):
    """Calibration and thresholds, and what they were fitted on.

    Attributes:
        undecided: Classes without positives or without negatives in validation; their logits
            are not calibrated and their threshold is 0.5.
        beta: Beta of the F measure that the thresholds maximize.
        num_instances: Number of validation instances.
        num_positives: Validation instances in each class [Y]; thresholds from few are unreliable.
        subjects: Sorted hashes (``data.fingerprints.text_hash``) of the validation subjects.
        num_folds: Number of folds with separate calibration, see ``pooling``; 0 for one model.
    """

    undecided: tuple[str, ...] = ()
    beta: float = 1.0
    num_instances: int = 0
    num_positives: tuple[int, ...] = ()
    subjects: tuple[str, ...] = ()
    num_folds: int = 0

    def check(self, predictions: Predictions) -> None:
        """Raise a DataError for predictions of another kind or with other classes."""
        if (self.kind, self.classes) != (predictions.kind, predictions.classes):
            raise DataError(
                f"a calibration of {self.kind} {self.classes} does not match predictions of "
                f"{predictions.kind} {predictions.classes}; fit it on the validation split of the "
                "same model."
            )

    def num_shared_subjects(self, predictions: Predictions) -> int:
        """Count the subjects of predictions on which the calibration was fitted."""
        known = set(self.subjects)
        return sum(text_hash(subject) in known for subject in np.unique(predictions.subjects))

    def to_json(self) -> JsonObject:
        """Return the JSON content."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, content: object, where: str = "calibration") -> "Calibration":
        """Inverse of ``to_json``.

        Raises:
            DataError: the content is not a valid calibration; the message names the field.
        """
        found = check_types(cls, content, where, _HINT)
        problem = _contradiction(found)
        if problem:
            raise DataError(f"{where}: {problem}; {_HINT}")
        return found


def load_calibration(path: Path) -> Calibration:
    """Read the calibration.json of a run; raises as ``Calibration.from_json``."""
    return Calibration.from_json(read_sealed(path, _HINT), str(path))


def _contradiction(calibration: Calibration) -> str:
    """Return the problem of an invalid calibration; '' if it is valid."""
    if problem := calibration.contradiction():
        return problem
    num_classes, found = len(calibration.classes), len(calibration.num_positives)
    if found not in (0, num_classes):
        return f"num_positives must have {num_classes} numbers, one per class; got {found}"
    if calibration.beta <= 0 or not set(calibration.undecided) <= set(calibration.classes):
        return "beta must be above 0 and undecided must be classes"
    return ""


def uncalibrated_probabilities(predictions: Predictions) -> np.ndarray:
    """Return the uncalibrated probabilities of the model [U, Y].

    Raises:
        DataError: The task is a regression.
    """
    if predictions.kind == "multilabel":
        return sigmoid(predictions.logits)
    plain = ClassDecision(kind=predictions.kind, classes=predictions.classes)
    return plain.probabilities(predictions.logits)


def fit_calibration(validation: Predictions, beta: float = 1.0) -> Calibration:
    """Fit calibration and thresholds.

    Args:
        validation: Predictions for subjects used neither for training nor for the test.
        beta: Weight of sensitivity relative to precision in the F measure, above zero.

    Returns:
        The calibration; empty for a regression.
    """
    if beta <= 0:
        raise DataError(f"beta must be above zero (1 gives F1); got {beta}.")
    present = (validation.targets == 1).any(axis=0) & (validation.targets == 0).any(axis=0)
    common = Calibration(
        kind=validation.kind,
        classes=validation.classes,
        beta=beta,
        num_instances=validation.num_instances,
        subjects=tuple(sorted(text_hash(name) for name in np.unique(validation.subjects))),
    )
    if validation.kind == "regression":
        return common
    common = dataclasses.replace(
        common,
        undecided=tuple(np.asarray(validation.classes)[~present].tolist()),
        num_positives=tuple(validation.targets.sum(axis=0).astype(int).tolist()),
    )
    if validation.kind == "multilabel":
        return _multilabel(common, validation, present)
    return _multiclass(common, validation, present)


def _multilabel(common: Calibration, validation: Predictions, present: np.ndarray) -> Calibration:
    pairs = [(1.0, 0.0)] * len(validation.classes)
    for k in np.flatnonzero(present):
        pairs[k] = _platt(validation.logits[:, k], validation.targets[:, k])
    slopes, intercepts = zip(*pairs, strict=True)
    calibrated = dataclasses.replace(common, slopes=slopes, intercepts=intercepts)
    probabilities = calibrated.probabilities(validation.logits)
    thresholds = [
        _threshold(p, t, common.beta) if known else 0.5
        for p, t, known in zip(probabilities.T, validation.targets.T, present, strict=True)
    ]
    return dataclasses.replace(calibrated, thresholds=tuple(thresholds))


def _multiclass(common: Calibration, validation: Predictions, present: np.ndarray) -> Calibration:
    temperature = _temperature(validation) if present.any() else 1.0
    calibrated = dataclasses.replace(common, temperature=temperature)
    if len(validation.classes) > 2:
        return calibrated
    threshold = 0.5
    if present.all():
        probabilities = calibrated.probabilities(validation.logits)[:, 1]
        threshold = _threshold(probabilities, validation.targets[:, 1], common.beta)
    return dataclasses.replace(calibrated, thresholds=(1 - threshold, threshold))


def _platt(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Fit log-odds a · logit + b by penalized likelihood, which is convex; a > 0."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        odds = parameters[0] * logits + parameters[1]
        shift = parameters - (1.0, 0.0)
        value = np.logaddexp(0, odds).sum() - targets @ odds + _RIDGE / 2 * shift @ shift
        error = expit(odds) - targets
        gradient = np.asarray([error @ logits, error.sum()]) + _RIDGE * shift
        return value / len(logits), gradient / len(logits)

    bounds = [(_MIN_SLOPE, None), (None, None)]
    found = minimize(loss, (1.0, 0.0), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), float(found.x[1])


def _temperature(validation: Predictions) -> float:
    """Fit the temperature by penalized likelihood of the true class."""

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(validation.logits / np.exp(log_temperature), axis=1)
        return _RIDGE / 2 * log_temperature**2 - float((scaled * validation.targets).sum())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded").x))


def _threshold(probabilities: np.ndarray, positive: np.ndarray, beta: float) -> float:
    """Return the threshold with the highest F-beta, half-way to the next lower probability.

    Ties go to the highest of equally good thresholds.
    """
    values, group = np.unique(probabilities, return_inverse=True)
    true = np.cumsum(np.bincount(group, positive)[::-1])[::-1]
    predicted = np.cumsum(np.bincount(group)[::-1])[::-1]
    score = (1 + beta**2) * true / (beta**2 * positive.sum() + predicted)
    best = len(score) - 1 - int(np.argmax(score[::-1]))
    lower = values[best - 1] if best else 0.0
    middle = (lower + values[best]) / 2
    return float(middle if middle > lower else values[best])
