"""The metric that a task of the suite is known by."""

import dataclasses
from collections.abc import Callable

import numpy as np

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation import metric_sets, metrics
from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.markdown import words
from physio_mae_jax.evaluation.predictions import Predictions

NAMES = ("macro_auroc", "macro_f1", "accuracy")
_OF_ONE_CLASS = ("auroc", "f1")

# Weights of instances [Z, U] -> metric [Z].
Measure = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Headline:
    """A metric, larger is better.

    Attributes:
        metric: One of ``NAMES``, or 'auroc' and 'f1' of one class.
        of: Class of 'auroc' and 'f1'; '' for the others.
    """

    metric: str
    of: str = ""

    @classmethod
    def parse(cls, text: str) -> "Headline":
        """Parse 'macro_auroc', 'macro_f1', 'accuracy', 'auroc:CLASS' or 'f1:CLASS'.

        Raises:
            ConfigError: The text is none of these.
        """
        metric, _, of = text.partition(":")
        if metric in (_OF_ONE_CLASS if of else NAMES):
            return cls(metric, of)
        raise ConfigError(
            f"headline is {text[:80]!r}; it must be one of {', '.join(NAMES)}, or "
            f"{' or '.join(f'{name}:CLASS' for name in _OF_ONE_CLASS)}."
        )

    @property
    def title(self) -> str:
        """Name for readers, such as 'macro AUROC' or 'F1 of af'."""
        return words(self.metric) + (f" of {self.of}" if self.of else "")

    def measure(self, predictions: Predictions, calibration: Calibration) -> Measure:
        """Return the function from weights to this metric.

        Classes without positives or without negatives are not averaged.

        Raises:
            DataError: The task has no such class, or no accuracy.
        """
        classes = self._classes(predictions)
        if self.metric.endswith("auroc"):
            return lambda weights: metric_sets.main_metric(predictions, weights, classes)
        true = predictions.targets
        predicted = calibration.predict_classes(calibration.probabilities(predictions.logits))
        if self.metric == "accuracy":
            return lambda weights: metrics.multiclass_accuracy(predicted, true, weights)
        return lambda weights: metrics.macro(
            metrics.Counts.from_predictions(predicted, true, weights).f1(), classes
        )

    def _classes(self, predictions: Predictions) -> np.ndarray:
        """Return the classes [Y] bool that are averaged."""
        if predictions.kind == "regression" or (
            self.metric == "accuracy" and predictions.kind != "multiclass"
        ):
            raise DataError(f"a task of kind {predictions.kind} has no {self.title}.")
        if not self.of:
            return metric_sets.evaluated_classes(predictions, 1)
        if self.of not in predictions.classes:
            raise DataError(
                f"headline names class {self.of!r}; the task has {', '.join(predictions.classes)}."
            )
        return np.asarray([name == self.of for name in predictions.classes])


def applicable(kind: str) -> tuple[Headline, ...]:
    """Return the metrics that are shown of every task of a kind."""
    names = NAMES if kind == "multiclass" else NAMES[:2]
    return tuple(Headline(name) for name in names)
