"""Predictions of folds and seeds."""

import numpy as np

from physio_mae_jax.evaluation.predictions import Predictions


def predictions(seed, kind="multilabel", instances=60, shift=1.0, name="u"):
    rng = np.random.default_rng(seed)
    if kind == "multiclass":
        targets = np.eye(3)[rng.integers(3, size=instances)]
    else:
        targets = (rng.random((instances, 3)) < 0.4).astype(float)
    return Predictions(
        kind=kind,
        classes=("a", "b", "c"),
        instance_ids=np.array([f"{name}{k}" for k in range(instances)]),
        subjects=np.array([f"{name}s{k // 2}" for k in range(instances)]),
        logits=rng.normal(size=(instances, 3)) * 3 + shift * targets,
        targets=targets,
        attributes={},
    )
