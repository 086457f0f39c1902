"""Probabilities and decisions of a classifier from its logits, with NumPy alone."""

import dataclasses

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show

KINDS = ("multilabel", "multiclass", "regression")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassDecision:
    """Calibration of logits to probabilities, and decision thresholds.

    Attributes:
        kind: 'multilabel', 'multiclass' or 'regression'.
        classes: Names of the classes [Y].
        slopes, intercepts: Platt scaling [Y] of a multilabel task: log-odds are
            a · logit + b, a > 0 (Platt 1999, by class).
        temperature: Divisor of the logits of a multiclass task (Guo et al. 2017).
        thresholds: Minimum calibrated probability of a positive prediction [Y], for multilabel and
            two-class tasks; empty if the most probable class is predicted.
    """

    kind: str
    classes: tuple[str, ...]
    slopes: tuple[float, ...] = ()
    intercepts: tuple[float, ...] = ()
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, [U, Y] -> [U, Y].

        Raises:
            DataError: The task is a regression.
        """
        if self.kind == "multilabel":
            return sigmoid(logits * np.asarray(self.slopes) + np.asarray(self.intercepts))
        if self.kind != "multiclass":
            raise DataError("a regression has no probabilities; use its predictions directly.")
        return softmax(logits / self.temperature)

    def predict_classes(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the predicted classes [U, Y], 0 or 1 as float64; one-hot in a multiclass task.

        Ties go to the first of equally probable classes. In a two-class task, the second class is
        predicted if its probability reaches its threshold.
        """
        if self.kind == "multilabel":
            return (probabilities >= np.asarray(self.thresholds)).astype(np.float64)
        chosen = np.argmax(probabilities, axis=1)
        if self.thresholds:
            chosen = (probabilities[:, 1] >= self.thresholds[1]).astype(int)
        return np.eye(len(self.classes))[chosen]

    def contradiction(self) -> str:
        """Return the problem of invalid values; '' if they are valid."""
        if self.kind not in KINDS:
            return f"kind must be one of {', '.join(KINDS)}; got {show(self.kind)}"
        num_classes = len(self.classes)
        needed = ("slopes", "intercepts", "thresholds") if self.kind == "multilabel" else ()
        for name in ("slopes", "intercepts", "thresholds"):
            found = len(getattr(self, name))
            if found not in ((num_classes,) if name in needed else (0, num_classes)):
                return f"{name} must have {num_classes} numbers, one per class; got {found}"
        if self.temperature <= 0 or min(self.slopes, default=1.0) <= 0:
            return "temperature and slopes must be above 0"
        return ""


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return the logistic function, without overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1.0 + small)


def softmax(values: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
