"""Predictions of several folds pooled into one evaluation."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logit

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.predictions import Predictions

# Distance of probabilities from 0 and 1 that keeps their logarithms finite.
_MARGIN = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class PooledCalibration(Calibration):
    """Decisions of each fold, for its own instances only.

    Attributes:
        decided: Decisions [U, Y] of each instance's fold, in the order of the pooled predictions.
    """

    decided: np.ndarray

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the calibration of the folds.

        Raises:
            DataError: The probabilities are not of the pooled instances.
        """
        if probabilities.shape != self.decided.shape:
            raise DataError(
                f"calibration of folds are for {list(self.decided.shape)} pooled predictions, not "
                f"for {list(probabilities.shape)}; each fold decides on its own instances only."
            )
        return self.decided

    def to_json(self) -> dict[str, Any]:
        """Return the content common to all folds; each fold's folder has its own calibration."""
        return {"kind": self.kind, "classes": list(self.classes), "num_folds": self.num_folds}


def pool(folds: Sequence[tuple[Predictions, Calibration]]) -> tuple[Predictions, Calibration]:
    """Pool the instances of all folds.

    Logits of different models have different scales, so what is pooled are the probabilities that
    each fold's own calibration gives, as log-odds (or logarithms, where classes exclude each
    other). Decisions stay those of each fold.

    Args:
        folds: Predictions of each fold's test instances with the calibration chosen on its
            validation.

    Raises:
        DataError: The folds are of different tasks, or an instance is in two of them.
    """
    first = folds[0][0]
    logits, decided = [], []
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
        decided.append(calibration.decide(probabilities))
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
        decided=np.concatenate(decided),
    )
