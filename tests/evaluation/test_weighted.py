"""Weighted means and sums, and what is not defined."""

import numpy as np

from physio_mae_jax.evaluation import weighted

WEIGHTS = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])


def test_a_mean_without_weight_is_not_defined():
    np.testing.assert_allclose(weighted.mean(np.array([3.0, 6.0, 9.0]), WEIGHTS), [5.0, np.nan])
    values = np.array([[3.0, 0.0], [6.0, 3.0], [9.0, 9.0]])
    assert weighted.mean(values, WEIGHTS).shape == (2, 2)
    np.testing.assert_allclose(weighted.mean(values, WEIGHTS)[0], [5.0, 2.0])


def test_sums_run_from_0_to_the_total():
    np.testing.assert_array_equal(weighted.running_sum(WEIGHTS)[0], [0, 1, 3, 3])
    np.testing.assert_array_equal(weighted.dot(WEIGHTS, WEIGHTS), [5, 0])


def test_the_chosen_are_ordered_by_score_and_then_by_place():
    scores, chosen = np.array([1.0, 3.0, 3.0, 9.0]), np.array([True, True, True, False])
    assert weighted.descending(scores, chosen).tolist() == [1, 2, 0]
