"""Metrics agree with scikit-learn, and weights are multiplicities."""

import inspect

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from physio_mae_jax.evaluation import metrics, regression
from tests.evaluation.evaluations import CLOSE, MEASURING, weighted_units

RANKING = {
    metrics.auroc: reference.roc_auc_score,
    metrics.average_precision: reference.average_precision_score,
}
DECIDING = {
    metrics.f1: reference.f1_score,
    metrics.accuracy: reference.accuracy_score,
    metrics.sensitivity: reference.recall_score,
    metrics.precision: reference.precision_score,
    metrics.balanced_accuracy: reference.balanced_accuracy_score,
}
PROBABLE = {metrics.brier: reference.brier_score_loss, metrics.log_loss: reference.log_loss}


@settings(max_examples=80, deadline=None)
@given(weighted_units())
def test_metrics_of_a_class_agree_with_scikit_learn(instances):
    scores, truth, weights = instances[0][:, 0], instances[1], instances[2]
    for ours, theirs in RANKING.items():
        expected = theirs(truth, scores, sample_weight=weights)
        np.testing.assert_allclose(ours(scores, truth, weights), expected, **CLOSE)
    probabilities = 0.01 + 0.98 * scores
    for ours, theirs in PROBABLE.items():
        expected = theirs(truth, probabilities, sample_weight=weights)
        np.testing.assert_allclose(ours(probabilities, truth, weights), expected, **CLOSE)
    decided = (scores >= np.median(scores)).astype(float)
    assert decided.any()
    for ours, theirs in DECIDING.items():
        if ours is not metrics.precision or (weights @ decided) > 0:
            expected = theirs(truth, decided, sample_weight=weights)
            np.testing.assert_allclose(ours(decided, truth, weights), expected, **CLOSE)
    expected = reference.recall_score(1 - truth, 1 - decided, sample_weight=weights)
    np.testing.assert_allclose(metrics.specificity(decided, truth, weights), expected, **CLOSE)


@settings(max_examples=60, deadline=None)
@given(weighted_units(num_classes=4))
def test_metrics_of_several_classes_agree_with_scikit_learn(instances):
    logits, truth, weights = instances
    targets, decided = np.eye(4)[truth], np.eye(4)[np.argmax(logits, axis=1)]
    said = np.argmax(logits, axis=1)
    pairs = {
        metrics.multiclass_accuracy: reference.accuracy_score,
        metrics.cohen_kappa: reference.cohen_kappa_score,
        metrics.confusion_matrix: lambda t, d, sample_weight: reference.confusion_matrix(
            t, d, sample_weight=sample_weight, labels=range(4)
        ),
    }
    for ours, theirs in pairs.items():
        expected = theirs(truth, said, sample_weight=weights)
        np.testing.assert_allclose(ours(decided, targets, weights), expected, **CLOSE)
    expected = reference.f1_score(
        truth, said, average="macro", sample_weight=weights, labels=range(4), zero_division=0
    )
    macro_f1 = metrics.macro(metrics.f1(decided, targets, weights))
    np.testing.assert_allclose(macro_f1, expected, **CLOSE)
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    for ours, theirs in (
        (metrics.multiclass_log_loss, reference.log_loss),
        (metrics.multiclass_brier, reference.brier_score_loss),
    ):
        expected = theirs(truth, probabilities, sample_weight=weights, labels=range(4))
        np.testing.assert_allclose(ours(probabilities, targets, weights), expected, **CLOSE)


def every_metric(scores, truth, numbers):
    """Name all metrics as functions of weights; scores [U, 2] from 0 to 1."""
    score, decided = scores[:, 0], (scores[:, 0] > 0.4).astype(float)
    both, chosen = np.eye(2)[truth], np.eye(2)[decided.astype(int)]
    shares = np.stack([1 - score, score], axis=1)
    calls = {
        f.__name__: (f, score, truth)
        for f in (
            *RANKING,
            *PROBABLE,
            metrics.expected_calibration_error,
        )
    }
    calls |= {f.__name__: (f, decided, truth) for f in (*DECIDING, metrics.specificity)}
    calls |= {
        f.__name__: (f, chosen, both)
        for f in (
            metrics.multiclass_accuracy,
            metrics.cohen_kappa,
            metrics.confusion_matrix,
        )
    }
    multiclass = (metrics.macro_auroc, metrics.multiclass_brier, metrics.multiclass_log_loss)
    calls |= {f.__name__: (f, shares, both) for f in multiclass}
    calls |= {
        f.__name__: (f, score + numbers, numbers)
        for f in (*MEASURING, regression.pearson_r, regression.bias, regression.limits_of_agreement)
    }
    found = {
        name: (lambda weights, f=f, a=a, b=b: np.asarray(f(a, b, weights)))
        for name, (f, a, b) in calls.items()
    }
    found["equal_mass"] = lambda weights: metrics.expected_calibration_error(
        score, truth, weights, equal_mass=True
    )
    return found


def test_every_metric_is_tried():
    functions = {
        name
        for module in (metrics, regression)
        for name, held in inspect.getmembers(module, inspect.isfunction)
        if held.__module__ == module.__name__ and not name.startswith("_")
    }
    tried = set(every_metric(np.zeros((2, 2)), np.array([0, 1]), np.zeros(2)))
    assert functions - tried == {"macro", "rank_metrics"}


@settings(max_examples=40, deadline=None)
@given(weighted_units(), st.integers(0, 2**32 - 1))
def test_weights_are_multiplicities_and_order_does_not_matter(instances, seed):
    scores, truth, _ = instances
    rng = np.random.default_rng(seed)
    scores = np.column_stack([scores, scores])
    numbers = rng.normal(size=len(truth)).round(1)
    weights = rng.integers(0, 4, (3, len(truth)))
    weights[:, :2] = np.maximum(weights[:, :2], 1)
    blocks = every_metric(scores, truth, numbers)
    order = rng.permutation(len(truth))
    shuffled = every_metric(scores[order], truth[order], numbers[order])
    for name, metric in blocks.items():
        together = np.moveaxis(metric(weights), 1, 0) if "limits" in name else metric(weights)
        for row, found in zip(weights, together, strict=True):
            rows = np.repeat(np.arange(len(truth)), row)
            repeated = every_metric(scores[rows], truth[rows], numbers[rows])[name]
            expected = repeated(np.ones(len(rows)))
            np.testing.assert_allclose(found, expected, **CLOSE, err_msg=name)
            np.testing.assert_allclose(metric(row), expected, **CLOSE, err_msg=name)
            np.testing.assert_allclose(shuffled[name](row[order]), expected, **CLOSE, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(weighted_units())
def test_only_the_order_of_scores_counts(instances):
    scores, truth, weights = instances[0][:, 0], instances[1], instances[2]
    for metric in RANKING:
        value = metric(scores, truth, weights)
        assert metric(np.exp(3 * scores) - 7, truth, weights) == value
    mirrored = metrics.auroc(-scores, truth, weights)
    np.testing.assert_allclose(mirrored, 1 - metrics.auroc(scores, truth, weights), **CLOSE)
    swapped = metrics.auroc(-scores, 1 - truth, weights)
    np.testing.assert_allclose(swapped, metrics.auroc(scores, truth, weights), **CLOSE)


def test_what_is_not_defined_is_nan():
    scores, ones = np.array([0.1, 0.4, 0.8]), np.ones(3)
    for truth in (np.zeros(3), ones):
        assert np.isnan(metrics.auroc(scores, truth, ones))
        assert np.isnan(metrics.average_precision(scores, truth, ones))
        assert np.isnan(metrics.balanced_accuracy(scores > 0.5, truth, ones))
    # A class can also be absent from one replicate only.
    values = metrics.auroc(scores, np.array([0, 1, 1]), np.array([[1, 1, 1], [0, 1, 2]]))
    np.testing.assert_array_equal(np.isnan(values), [False, True])
    assert np.isnan(metrics.f1(ones, np.zeros(3), ones))
    assert metrics.f1(np.zeros(3), ones, ones) == 0
    assert np.isnan(metrics.precision(np.zeros(3), ones, ones))
    assert np.isnan(metrics.brier(scores, ones, np.zeros(3)))
    assert np.isnan(metrics.macro(np.array([0.5, np.nan])))
    assert np.isnan(metrics.macro(np.array([0.5, 0.6]), np.array([False, False])))
    constant = np.full(3, 0.1)
    assert np.isnan(regression.r2(scores, constant, ones))
    assert np.isnan(regression.pearson_r(scores, constant, ones))
    assert np.isnan(regression.limits_of_agreement(scores, constant, np.array([1, 0, 0]))).all()


def test_calibration_errors_of_known_cases():
    rng = np.random.default_rng(0)
    # One bin: the gap of means. Bins of equal mass without ties: those of equal count.
    probabilities = rng.permutation(np.linspace(0.01, 0.99, 150))
    truth = (rng.random(150) < probabilities).astype(float)
    ones = np.ones(150)
    error = metrics.expected_calibration_error
    gap = abs(probabilities.mean() - truth.mean())
    np.testing.assert_allclose(error(probabilities, truth, ones, 1), gap, **CLOSE)
    order = np.argsort(probabilities)
    bins = [abs((probabilities - truth)[some].mean()) for some in np.split(order, 15)]
    found = error(probabilities, truth, ones, equal_mass=True)
    np.testing.assert_allclose(found, np.mean(bins), **CLOSE)
    assert error(truth, truth, ones) == 0
    assert error(1 - truth, truth, ones) == 1
    # More instances, less error, for a model that is perfectly calibrated.
    many = rng.random(200_000)
    assert error(many, (rng.random(200_000) < many) * 1.0, np.ones(200_000)) < 0.01
