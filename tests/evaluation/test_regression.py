"""Metrics of regressions agree with scikit-learn."""

import numpy as np
from hypothesis import given, settings

from physio_mae_jax.evaluation import regression
from tests.evaluation.evaluations import CLOSE, MEASURING, weighted_units


@settings(max_examples=60, deadline=None)
@given(weighted_units(num_classes=2))
def test_regression_agrees_with_scikit_learn(instances):
    scores, truth, weights = instances
    true = truth + 3.0 * scores[:, 0] + np.sqrt(np.arange(len(truth))) + 100
    predicted = true + scores[:, 1] - 0.4
    for ours, theirs in MEASURING.items():
        expected = theirs(true, predicted, sample_weight=weights)
        np.testing.assert_allclose(ours(predicted, true, weights), expected, **CLOSE)
    covariance = np.cov(predicted, true, aweights=weights)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    np.testing.assert_allclose(regression.pearson_r(predicted, true, weights), expected, **CLOSE)
    error = np.average(predicted - true, weights=weights)
    np.testing.assert_allclose(regression.bias(predicted, true, weights), error, **CLOSE)
