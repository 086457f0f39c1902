"""Caveats of evaluations that are based on too little."""

import dataclasses

import numpy as np

from physio_mae_jax.evaluation.caveats import caveats
from physio_mae_jax.evaluation.evaluation import evaluate
from tests.evaluation.evaluations import CONTEXT, REPLICATES, evaluated


def test_one_subject_has_no_interval():
    predictions, calibration, _ = evaluated()
    test = dataclasses.replace(predictions["test"], subjects=np.full(400, "the only one"))
    result = evaluate(test, calibration, num_resamples=REPLICATES)
    assert np.isfinite(result.main.value)
    assert np.isnan(result.main.low)
    assert all(np.isnan(row.metrics["auroc"].low) for row in result.by_class)
    assert any("Only 1 subject:" in doubt for doubt in caveats({"test": result}, CONTEXT))
