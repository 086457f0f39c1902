"""Weighted units and simulated predictions for tests of evaluations."""

import functools

import numpy as np
from hypothesis import strategies as st
from sklearn import metrics as reference

from physio_mae_jax.evaluation import regression
from physio_mae_jax.evaluation.calibration import fit_calibration
from physio_mae_jax.evaluation.evaluation import evaluate
from physio_mae_jax.evaluation.predictions import Predictions

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
MEASURING = {
    regression.mean_absolute_error: reference.mean_absolute_error,
    regression.root_mean_squared_error: reference.root_mean_squared_error,
    regression.r2: reference.r2_score,
}


@st.composite
def weighted_units(draw, num_classes=1):
    """Scores with many ties, truth of every class both ways, whole or fractional weights."""
    count = draw(st.integers(2 * num_classes + 2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 5, 1000]))
    scores = rng.integers(levels, size=(count, num_classes)) / levels
    truth = rng.permutation(np.arange(count) % max(2, num_classes))
    weights = rng.integers(0, 4, count) if draw(st.booleans()) else rng.random(count)
    # Every class keeps an instance of positive weight.
    weights = np.where(
        np.isin(np.arange(count), np.unique(truth, return_index=True)[1]), 1, weights
    )
    return scores, truth, weights.astype(float)


def of(**changes):
    """Return three valid instances, or what the changes make of them."""
    kind = changes.pop("kind", "multilabel")
    logits = np.asarray(changes.get("logits", [[0.1, 2.0], [1.0, -1.0], [0.0, 3.0]]), float)
    entries = {
        "kind": kind,
        "classes": tuple("abcdef"[: logits.shape[1]]) if logits.ndim == 2 else ("a", "b"),
        "instance_ids": [f"u{i}" for i in range(len(logits))],
        "subjects": [f"s{i % 2}" for i in range(len(logits))],
        "logits": logits,
        "targets": [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
    }
    return Predictions(**(entries | changes))


REPLICATES = 60
CLEAN = "contamination: none of 90 subjects and 100 recordings was trained on."
CONTEXT = {
    "command": "python -m physio_mae_jax.main --mode=evaluate",
    "versions": {"jax": "0.10"},
    "device": "cpu",
    "data": {"ptbxl": "91ab"},
    "split rule": "fold=1-8|9|10",
    "contamination": CLEAN,
    "checkpoint": "runs/1",
    "seeds": {"training": 0},
}


SHARES = (0.5, 0.3, 0.2, 0.1, 0.01)


def simulate(seed, count=400, kind="multilabel", shares=SHARES, subjects=300):
    """Predictions with sex and age; subjects of one seed are not those of another."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares)
    if kind == "multilabel":
        targets = (rng.random((count, len(shares))) < shares) * 1.0
        logits = 2 * targets + rng.normal(size=targets.shape)
    elif kind == "multiclass":
        targets = np.eye(len(shares))[rng.choice(len(shares), count, p=shares / shares.sum())]
        logits = 2 * targets + rng.normal(size=targets.shape)
    else:
        targets = rng.normal(120, 15, (count, len(shares)))
        logits = targets + rng.normal(2, 5, targets.shape)
    age = rng.integers(20, 100, count)
    return Predictions(
        kind=kind,
        classes=tuple(f"class_{k}" for k in range(len(shares))),
        instance_ids=[f"{seed}/{i}" for i in range(count)],
        subjects=[f"{seed}/{i}" for i in rng.integers(subjects, size=count)],
        logits=logits,
        targets=targets,
        attributes={
            "sex": rng.choice(["female", "male", ""], count, p=[0.5, 0.4, 0.1]),
            "age": np.where(age > 89, ">89", age.astype(str)),
        },
    )


@functools.cache
def evaluated(kind="multilabel", shares=SHARES):
    validation, test = (simulate(seed, kind=kind, shares=shares) for seed in (1, 2))
    calibration = fit_calibration(validation)
    found = {
        part: evaluate(some, calibration, num_resamples=REPLICATES)
        for part, some in (("test", test), ("validation", validation))
    }
    return {"test": test, "validation": validation}, calibration, found
