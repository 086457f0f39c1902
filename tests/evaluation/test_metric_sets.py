"""Metrics of each problem type take the scores that they need."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from physio_mae_jax.evaluation import metric_sets, metrics
from tests.evaluation.evaluations import CLOSE, of, weighted_units


@settings(max_examples=40, deadline=None)
@given(weighted_units(num_classes=3), st.integers(0, 2**32 - 1))
def test_multiclass_auroc_is_that_of_probabilities(instances, seed):
    _, truth, weights = instances
    logits = np.random.default_rng(seed).normal(size=(len(truth), 3)) * 3
    predictions = of(logits=logits, targets=np.eye(3)[truth], kind="multiclass")
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    expected = reference.roc_auc_score(
        truth, probabilities, multi_class="ovr", sample_weight=weights, labels=range(3)
    )
    scores = metric_sets.ranking_scores(predictions)
    np.testing.assert_allclose(scores, np.log(probabilities / (1 - probabilities)), rtol=1e-7)
    found = metrics.macro_auroc(scores, predictions.targets, weights)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_scores_of_sure_models_still_differ():
    """Where probabilities are all 1 in floating point, order is still known."""
    logits = np.array([[800.0, 0.0, 1.0], [900.0, 0.0, 1.0], [0.0, 850.0, 1.0], [0.0, 1.0, 5.0]])
    predictions = of(logits=logits, targets=np.eye(3)[[0, 0, 1, 2]], kind="multiclass")
    scores = metric_sets.ranking_scores(predictions)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(np.argsort(scores[:, 0]), [2, 3, 0, 1])
