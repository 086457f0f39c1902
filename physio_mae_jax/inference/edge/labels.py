"""Labels of recordings for calibration, and how well embeddings or logits tell them apart."""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference import arguments
from physio_mae_jax.inference.class_decision import ClassDecision

_PENALTY = 0.1  # of the ridge regression, per window and standardized feature


def label_matrix(labels: object, count: int, decision: ClassDecision | None) -> np.ndarray:
    """Return labels of recordings as 0 or 1: [R, Y].

    Args:
        labels: A class for each recording, or a row of 0 or 1 for each; for a classifier a name of
            its classes or their number.
        count: Number of recordings R.
        decision: Classes of a classifier; None for an encoder, whose classes are those given.

    Raises:
        UserError: The labels do not fit the recordings or the classes.
    """
    entries = arguments.listed(labels, "calibration_labels")
    if len(entries) != count:
        raise ConfigError(
            f"calibration_labels has {len(entries)} entries for {count} recordings; give one each."
        )
    if not arguments.is_one_number(entries[0]) and not isinstance(entries[0], str):
        rows = np.asarray([arguments.listed(one, "calibration_labels") for one in entries])
        width = len(decision.classes) if decision else rows.shape[-1]
        if rows.ndim != 2 or rows.shape[1] != width or not np.isin(rows, (0, 1)).all():
            raise ConfigError(
                f"calibration_labels has rows of shape {rows.shape[1:]}; rows of {width} values 0 "
                "or 1 are expected, or one class for each recording."
            )
        return rows.astype(np.int8)
    if any(arguments.is_missing(one) for one in entries):
        raise ConfigError(
            "calibration_labels has an entry without a value; exclude recordings without a label."
        )
    names = [str(one) for one in entries]
    if decision is None:
        known = sorted(set(names))
        chosen = known[1:] if len(known) == 2 else known  # of two classes one tells the other
        return np.asarray([[name == one for one in chosen] for name in names], np.int8)
    position = {name: number for number, name in enumerate(decision.classes)}
    position |= {str(number): number for number in position.values()}
    if unknown := sorted(set(names) - set(position)):
        raise ConfigError(
            f"calibration_labels has {unknown[0]!r}, which is no class of the model; choose from "
            f"{', '.join(decision.classes)}."
        )
    return np.eye(len(decision.classes), dtype=np.int8)[[position[name] for name in names]]


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve of scores [B]; ties count half."""
    values, row = np.unique(scores, return_inverse=True)
    counts = np.bincount(row, minlength=len(values))
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[row]
    positives = int(positive.sum())
    pairs = positives * (len(scores) - positives)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / pairs)


def require_varied(*parts: np.ndarray) -> None:
    """Raise a DataError unless some class varies within each part of labels [B, Y]."""
    if not np.logical_and.reduce([_varies(labels) for labels in parts]).any():
        raise DataError(
            "the labels have no class that some windows have and others do not, both among those "
            "for calibration and those held back; give more recordings of several classes."
        )


def macro_auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Average the AUROC of scores [B, Y] over the classes that some windows have, but not all."""
    present = labels.astype(bool)
    known = np.flatnonzero(_varies(labels))
    return float(np.mean([auroc(scores[:, k], present[:, k]) for k in known]))


def _varies(labels: np.ndarray) -> np.ndarray:
    """Return the classes [Y] that some rows have and others do not."""
    return np.asarray(labels.any(axis=0) & ~labels.all(axis=0))


class LinearProbe:
    """A ridge regression from standardized embeddings [B, D] to labels [B, Y]."""

    def __init__(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        """Fit it."""
        values = embeddings.astype(np.float64)
        self._mean, self._std = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-9)
        features = (values - self._mean) / self._std
        targets = labels - labels.mean(axis=0)
        penalty = _PENALTY * len(values) * np.eye(features.shape[1])
        self._weights = np.linalg.solve(features.T @ features + penalty, features.T @ targets)

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the scores [B, Y] of embeddings."""
        return (embeddings - self._mean) / self._std @ self._weights


def window_labels(rows: np.ndarray | None, recordings: Sequence[int]) -> np.ndarray | None:
    """Return the labels of windows [B, Y] of numbered recordings; None without labels."""
    return None if rows is None else rows[np.asarray(recordings, int)]
