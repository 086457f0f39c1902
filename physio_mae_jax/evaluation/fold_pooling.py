"""Pooling the predictions of several folds into one evaluation."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.special import logit

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.types import JsonObject

# Distance of probabilities from 0 and 1 that keeps their logarithms finite.
_MARGIN = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class PooledCalibration(Calibration):
    """Calibration of pooled predictions; each fold predicts the classes of its own instances only.

    Attributes:
        predicted: Classes [U, Y] predicted by each instance's fold, in the order of the pooled
            instances.
    """

    predicted: np.ndarray

    def predict_classes(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the classes predicted by the folds.

        Raises:
            DataError: the probabilities are not of the pooled instances.
        """
        if probabilities.shape != self.predicted.shape:
            raise DataError(
                f"the pooled calibration is for {list(self.predicted.shape)} predictions, not for "
                f"{list(probabilities.shape)}; it applies only to the pooled instances."
            )
        return self.predicted

    def to_json(self) -> JsonObject:
        """Return the content common to all folds; each fold's folder has its own calibration."""
        return {"kind": self.kind, "classes": list(self.classes), "num_folds": self.num_folds}


def pool(folds: Sequence[tuple[Predictions, Calibration]]) -> tuple[Predictions, Calibration]:
    """Pool the instances of all folds.

    Logits of different models have different scales, so the calibrated probabilities of each fold
    are pooled, as log-odds (or logarithms for multiclass tasks). Predicted classes are those of
    each fold.

    Args:
        folds: Predictions of each fold's test instances with the calibration fitted on its
            validation split.

    Raises:
        DataError: The folds are of different tasks, or an instance is in two of them.
    """
    first = folds[0][0]
    logits, predicted = [], []
    for predictions, calibration in folds:
        if (predictions.kind, predictions.classes) != (first.kind, first.classes):
            raise DataError(
                f"folds of {first.kind} {first.classes} and of {predictions.kind} "
                f"{predictions.classes} cannot be pooled."
            )
        calibration.check(predictions)
        if first.kind == "regression":
            logits.append(predictions.logits)
            continue
        probabilities = calibration.probabilities(predictions.logits)
        predicted.append(calibration.predict_classes(probabilities))
        bounded = np.clip(probabilities, _MARGIN, 1 - _MARGIN)
        logits.append(np.log(bounded) if first.kind == "multiclass" else logit(bounded))
    names = set.intersection(*(set(predictions.attributes) for predictions, _ in folds))
    pooled = Predictions(
        kind=first.kind,
        classes=first.classes,
        instance_ids=np.concatenate([predictions.instance_ids for predictions, _ in folds]),
        subjects=np.concatenate([predictions.subjects for predictions, _ in folds]),
        logits=np.concatenate(logits),
        targets=np.concatenate([predictions.targets for predictions, _ in folds]),
        attributes={
            name: np.concatenate([predictions.attributes[name] for predictions, _ in folds])
            for name in sorted(names)
        },
    )
    if first.kind == "regression":
        return pooled, Calibration(kind=first.kind, classes=first.classes, num_folds=len(folds))
    count = len(first.classes)
    return pooled, PooledCalibration(
        kind=first.kind,
        classes=first.classes,
        slopes=(1.0,) * count if first.kind == "multilabel" else (),
        intercepts=(0.0,) * count if first.kind == "multilabel" else (),
        num_folds=len(folds),
        predicted=np.concatenate(predicted),
    )
