"""Pooled folds keep their probabilities and predictions."""

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.calibration import fit_calibration
from physio_mae_jax.evaluation.fold_pooling import pool
from tests.evaluation.fold_predictions import predictions


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_pooled_folds_keep_probabilities_and_predictions(kind):
    folds = []
    for k in range(3):
        test = predictions(k, kind, name=f"fold{k}_")
        folds.append((test, fit_calibration(predictions(10 + k, kind))))
    pooled, calibration = pool(folds)
    assert pooled.num_instances == 180
    probabilities = calibration.probabilities(pooled.logits)
    position = 0
    for test, chosen in folds:
        part = slice(position, position := position + test.num_instances)
        np.testing.assert_allclose(
            probabilities[part], chosen.probabilities(test.logits), atol=1e-9
        )
        own = chosen.predict_classes(chosen.probabilities(test.logits))
        assert (calibration.predict_classes(probabilities)[part] == own).all()
    with pytest.raises(DataError, match="applies only to the pooled instances"):
        calibration.predict_classes(probabilities[:5])
    assert calibration.to_json() == {"kind": kind, "classes": ["a", "b", "c"], "num_folds": 3}


def test_folds_of_different_tasks_are_not_pooled():
    one, two = predictions(0), predictions(1, "multiclass")
    with pytest.raises(DataError, match="cannot be pooled"):
        pool([(one, fit_calibration(one)), (two, fit_calibration(two))])
