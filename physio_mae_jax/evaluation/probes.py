"""Probes of frozen features: linear models and nearest neighbors.

Both are fitted on training instances; the hyperparameter is selected on the validation split by the
metric that also selects fine-tuned models; the test split is not used.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from physio_mae_jax.errors import ConfigError

_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_NUM_NEIGHBORS = (1, 3, 5, 10, 20, 40, 80)
_MAX_ITERATIONS = 2_000

Metric = Callable[[np.ndarray, np.ndarray], float]


class ProbeResult(NamedTuple):
    """Outputs of a probe, and its selected hyperparameter.

    Attributes:
        logits: Outputs [U, Y] of 'validation' and 'test', as in ``predictions.Predictions``.
        chosen: Selected hyperparameter, as text.
    """

    logits: dict[str, np.ndarray]
    chosen: str


def linear_probe(
    features: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    kind: str,
    metric: Metric,
    *,
    refit: bool,
) -> ProbeResult:
    """Fit logistic regressions, or a ridge regression for numeric targets, on standardized
    features.

    Args:
        features: Features [U, D] of 'train', 'validation' and 'test'.
        targets: Targets [U, Y] of the same splits.
        kind: 'multilabel' (one model per class), 'multiclass' (one joint model) or 'regression'.
        metric: Function of validation logits and targets to maximize.
        refit: Whether the test logits come from a model refitted on training and validation with
            the chosen strength. The validation logits never do.
    """
    scaled = _standardize(features)
    fitted = {c: _fit_linear(scaled["train"], targets["train"], kind, c) for c in _STRENGTHS}
    logits = {c: model(scaled["validation"]) for c, model in fitted.items()}
    best = max(_STRENGTHS, key=lambda c: metric(logits[c], targets["validation"]))
    final = (
        _fit_linear(*_concatenate_splits(scaled, targets), kind, best) if refit else fitted[best]
    )
    return ProbeResult(
        {"validation": logits[best], "test": final(scaled["test"])}, f"strength C = {best:g}"
    )


def _fit_linear(
    features: np.ndarray, targets: np.ndarray, kind: str, regularization: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from features [U, D] to logits [U, Y]."""
    if kind == "regression":
        # As for C of a logistic regression, the data term is a sum over instances.
        ridge = Ridge(alpha=1 / regularization).fit(features, targets)
        return lambda values: ridge.predict(values).reshape(len(values), -1)
    if kind == "multiclass":
        model = _logistic(regularization).fit(features, targets.argmax(axis=1))
        if targets.shape[1] == 2:
            return lambda values: _binary_to_two_logits(model.decision_function(values))
        return lambda values: model.decision_function(values)
    models = [_logistic(regularization).fit(features, column) for column in targets.T]
    return lambda values: np.stack([model.decision_function(values) for model in models], axis=1)


def _concatenate_splits(
    features: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate training and validation."""
    splits = ("train", "validation")
    return (
        np.concatenate([features[split] for split in splits]),
        np.concatenate([targets[split] for split in splits]),
    )


def _logistic(regularization: float) -> LogisticRegression:
    return LogisticRegression(C=regularization, max_iter=_MAX_ITERATIONS)


def _binary_to_two_logits(log_odds: np.ndarray) -> np.ndarray:
    return np.stack([-log_odds / 2, log_odds / 2], axis=1)


def knn_probe(
    features: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    kind: str,
    metric: Metric,
    *,
    refit: bool,
) -> ProbeResult:
    """Average the targets of the nearest training instances, by cosine similarity of
    standardized features.

    For classes the logits are log-odds (or logarithms) of the fraction of neighbors, with a
    pseudo-count of one half. Arguments as for ``linear_probe``.
    """
    scaled = _standardize(features)
    counts = [k for k in _NUM_NEIGHBORS if k <= len(scaled["train"])]
    logits = _neighbor_logits(scaled["train"], targets["train"], scaled["validation"], kind, counts)
    best = max(counts, key=lambda k: metric(logits[k], targets["validation"]))
    training = (
        _concatenate_splits(scaled, targets) if refit else (scaled["train"], targets["train"])
    )
    final = _neighbor_logits(*training, scaled["test"], kind, [best])[best]
    return ProbeResult({"validation": logits[best], "test": final}, f"{best} neighbors")


def _neighbor_logits(
    training: np.ndarray, targets: np.ndarray, queries: np.ndarray, kind: str, counts: list[int]
) -> dict[int, np.ndarray]:
    """Return logits [U, Y] for each number of neighbors."""
    search = NearestNeighbors(n_neighbors=max(counts), metric="cosine").fit(training)
    nearest = search.kneighbors(queries, return_distance=False)
    return {k: _vote(targets[nearest[:, :k]], kind) for k in counts}


def _vote(neighbor_targets: np.ndarray, kind: str) -> np.ndarray:
    """Aggregate the targets [U, k, Y] of neighbors."""
    if kind == "regression":
        return neighbor_targets.mean(axis=1)
    positives, count = neighbor_targets.sum(axis=1), neighbor_targets.shape[1]
    if kind == "multiclass":
        return np.log(positives + 0.5)
    return np.log(positives + 0.5) - np.log(count - positives + 0.5)


METHODS = {"probe": linear_probe, "knn": knn_probe}


def get_probe(method: str) -> Callable[..., ProbeResult]:
    """Return the probe function with the given name.

    Raises:
        ConfigError: The method does not exist.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    return METHODS[method]


def _standardize(features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Standardize each feature to mean 0 and standard deviation 1 over the training instances."""
    scaler = StandardScaler().fit(features["train"])
    return {split: scaler.transform(values) for split, values in features.items()}
