"""Metrics agree with scikit-learn, weights are multiplicities, predictions reject nonsense."""

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import metric_sets, metrics, regression
from physio_mae_jax.evaluation.predictions import Predictions

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ranking"}, "got 'ranking'"),
        ({"classes": ("a", "a")}, "each once"),
        (
            {"logits": [[0.1, np.nan], [1, 1], [1, 1]]},
            "logits of instance 'u0', class 'b' is not fin",
        ),
        ({"logits": [[0.1, 1], [1, 1], [-np.inf, 1]]}, "instance 'u2', class 'a' is not finite"),
        ({"targets": [[1, 0], [0, 1], [1, 0.5]]}, "instance 'u2', class 'b' is neither 0 nor 1"),
        ({"targets": [[1, 0], [0, 1], [1, 1]], "kind": "multiclass"}, "'u2' have 2 classes"),
        ({"targets": [[1, 0], [0, 1]]}, r"targets has shape \[2, 2\], expected \[3, 2\]"),
        ({"logits": np.zeros((3, 3)), "classes": ("a", "b")}, r"logits has shape \[3, 3\]"),
        ({"logits": np.zeros(3)}, r"logits has shape \[3\]"),
        ({"subjects": ["s", "t"]}, r"subjects has shape \[2\]"),
        ({"subjects": ["s", "", "t"]}, "instance 'u1' has no subject"),
        ({"subjects": ["s", None, "t"]}, "expected names"),
        ({"instance_ids": ["u", "u", "v"]}, "'u' occurs 2 times"),
        ({"attributes": {"sex": np.array(["f", "m"])}}, r"sex has shape \[2\]"),
        ({"attributes": {"sex": np.zeros(3, complex)}}, "'sex' is complex"),
        ({"logits": [["x", "y"]] * 3, "classes": ("a", "b")}, "logits are not all numbers"),
    ],
)
def test_predictions_reject_invalid_values(changes, message):
    valid = of()
    entries = {f.name: getattr(valid, f.name) for f in dataclasses.fields(valid)}
    with pytest.raises(DataError, match=message):
        Predictions(**(entries | changes))


def test_empty_predictions_are_rejected():
    with pytest.raises(DataError, match="at least one instance"):
        of(logits=np.zeros((0, 2)), targets=np.zeros((0, 2)), instance_ids=np.array([], str),
           subjects=np.array([], str))  # fmt: skip


def test_predictions_come_back_from_disk(tmp_path):
    attributes = {"sex": ["m", "f", None], "age": [40.0, np.nan, 80.5], "site": np.array([1, 2, 3])}
    saved = of(attributes=attributes, classes=("α|β", "b c"))
    path = tmp_path / "deep" / "test.npz"
    saved.save(path)
    found = Predictions.load(path)
    for field in dataclasses.fields(Predictions):
        if field.name != "attributes":
            np.testing.assert_array_equal(getattr(found, field.name), getattr(saved, field.name))
    assert found.classes == ("α|β", "b c")
    assert list(found.attributes) == ["sex", "age", "site"]
    for name, values in saved.attributes.items():
        np.testing.assert_array_equal(found.attributes[name], values)
    assert [file.name for file in path.parent.iterdir()] == ["test.npz"]
    part = found.select(np.array([True, False, True]))
    assert part.instance_ids.tolist() == ["u0", "u2"]
    assert part.attributes["sex"].tolist() == ["m", ""]


def test_other_files_are_rejected(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    path.write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    np.savez(path, kind="multilabel")
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    of().save(path)
    content = dict(np.load(path))
    np.savez(path, **(content | {"instance_ids": np.array(["a", None, "b"], object)}))
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path.with_suffix(".npy"))
