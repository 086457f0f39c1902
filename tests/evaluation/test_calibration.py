"""Decisions are chosen on validation, never see the test, and are the best that there are."""

import dataclasses
import inspect
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import metrics
from physio_mae_jax.evaluation.calibration import (
    Calibration,
    fit_calibration,
    uncalibrated_probabilities,
)
from physio_mae_jax.evaluation.evaluation import evaluate
from tests.factories import predictions


def miscalibrated(seed, kind="multilabel"):
    """Predictions of 1,500 instances in three classes, overconfident, or shifted as well."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=(1500, 3)) * 1.5
    if kind == "multiclass":
        targets = np.eye(3)[np.argmax(odds + rng.gumbel(size=odds.shape), axis=1)]
        return predictions(3 * odds, targets, kind=kind)
    odds -= np.arange(3)
    targets = (rng.random(odds.shape) < expit(odds)) * 1.0
    return predictions(2.5 * odds + 1.5, targets)


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_calibration_helps_on_others_and_keeps_every_order(kind):
    validation, test = (miscalibrated(seed, kind) for seed in (0, 1))
    calibration = fit_calibration(validation)
    before, after = uncalibrated_probabilities(test), calibration.probabilities(test.logits)
    ones = np.ones(test.num_instances)
    for k in range(3):
        for equal_mass in (False, True):
            errors = [
                metrics.expected_calibration_error(
                    p[:, k], test.targets[:, k], ones, equal_mass=equal_mass
                )
                for p in (before, after)
            ]
            assert errors[1] < 0.5 * errors[0]
        if kind == "multilabel":
            order = np.argsort(test.logits[:, k])
            assert (np.diff(after[order, k]) >= 0).all()
            assert calibration.slopes[k] == pytest.approx(1 / 2.5, rel=0.25)
    if kind == "multiclass":
        assert calibration.temperature == pytest.approx(3, rel=0.1)
        np.testing.assert_array_equal(np.argmax(before, axis=1), np.argmax(after, axis=1))
        assert not calibration.thresholds
        np.testing.assert_array_equal(
            calibration.predict_classes(after), np.eye(3)[np.argmax(test.logits, axis=1)]
        )


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_calibration_is_a_likelihood_maximum(kind):
    validation = miscalibrated(0, kind)
    ones, found = np.ones(validation.num_instances), fit_calibration(validation)

    def cost(calibration):
        probabilities = calibration.probabilities(validation.logits)
        log_loss = metrics.multiclass_log_loss if kind == "multiclass" else metrics.log_loss
        return np.asarray(log_loss(probabilities, validation.targets, ones)).sum()

    for factor in (0.95, 1.05):
        for name in ("slopes", "intercepts", "temperature"):
            value = getattr(found, name)
            moved = value * factor if name == "temperature" else tuple(v * factor for v in value)
            if moved and (kind == "multiclass") == (name == "temperature"):
                assert cost(dataclasses.replace(found, **{name: moved})) > cost(found)


def test_calibration_on_few_instances_is_regularized_by_the_prior():
    """Log-odds a · l + b of least cost, with a Gaussian of variance 10 around a = 1 and b = 0."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=12) * 2
    targets = (np.arange(12) % 3 == 0) * 1.0

    def cost(parameters):
        odds = parameters[0] * logits + parameters[1]
        likelihood = np.where(targets == 1, expit(odds), expit(-odds))
        return ((parameters - [1, 0]) ** 2).sum() / 20 - np.log(likelihood).sum()

    best = minimize(cost, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6}).x
    found = fit_calibration(predictions(logits[:, None], targets[:, None]))
    np.testing.assert_allclose([*found.slopes, *found.intercepts], best, atol=2e-3)


def test_instances_at_threshold_are_predicted_positive():
    for kind, classes, decided in (("multilabel", 1, [[1]]), ("multiclass", 2, [[0, 1]])):
        calibration = Calibration(
            kind=kind, classes=("a", "b")[:classes], thresholds=(0.5,) * classes
        )
        assert calibration.predict_classes(np.full((1, classes), 0.5)).tolist() == decided


def test_calibration_slope_stays_positive():
    validation = miscalibrated(0)
    calibration = fit_calibration(predictions(-validation.logits, validation.targets))
    assert min(calibration.slopes) > 0


def test_separated_classes_give_finite_decisions():
    targets = np.eye(2)[np.arange(40) % 2]
    for kind in ("multilabel", "multiclass"):
        calibration = fit_calibration(predictions(targets * 300 - 100, targets, kind=kind))
        assert np.isfinite(
            [*calibration.slopes, *calibration.intercepts, calibration.temperature]
        ).all()
        decided = calibration.predict_classes(calibration.probabilities(targets * 300 - 100))
        np.testing.assert_array_equal(decided, targets)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60), st.sampled_from([0.5, 1.0, 2.0]))
def test_no_threshold_does_better_on_validation(seed, count, beta):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-3, 4, (count, 1)) * 1.0
    targets = (rng.random((count, 1)) < expit(logits)) * 1.0
    targets[:2, 0] = 0, 1
    validation = predictions(logits, targets)
    calibration = fit_calibration(validation, beta)
    probabilities = calibration.probabilities(logits)

    def score(decided):
        true = (decided * targets).sum()
        return (1 + beta**2) * true / (beta**2 * targets.sum() + decided.sum() or 1)

    found = score(calibration.predict_classes(probabilities))
    assert found >= max(score(probabilities >= p) for p in np.unique(probabilities)) - 1e-12


def test_two_exclusive_classes_have_one_threshold():
    rng = np.random.default_rng(0)
    rare = rng.random(400) < 0.1
    targets = np.stack([~rare, rare], axis=1) * 1.0
    logits = targets * 1.5 + rng.normal(size=(400, 2)) + [3.0, 0.0]
    calibration = fit_calibration(predictions(logits, targets, kind="multiclass"))
    assert sum(calibration.thresholds) == pytest.approx(1)
    decided = calibration.predict_classes(calibration.probabilities(logits))
    assert (decided.sum(axis=1) == 1).all()
    predicted = np.eye(2)[np.argmax(logits, axis=1)]
    f1 = [metrics.f1(d[:, 1], targets[:, 1], np.ones(400)) for d in (decided, predicted)]
    assert f1[0] > f1[1]


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_classes_that_validation_lacks_stay_undecided(kind):
    rng = np.random.default_rng(0)
    targets = np.eye(4)[rng.integers(2, size=50)]
    if kind == "multilabel":
        targets[:, 3] = 1
    calibration = fit_calibration(predictions(rng.normal(size=(50, 4)), targets, kind=kind))
    assert calibration.undecided == ("class 2", "class 3")
    if kind == "multilabel":
        assert calibration.thresholds[2:] == (0.5, 0.5)
        assert calibration.slopes[2:] == (1, 1)
        assert calibration.intercepts[2:] == (0, 0)
    one = fit_calibration(predictions(np.zeros((3, 2)), [[1, 0]] * 3, kind=kind))
    assert one.undecided == ("class 0", "class 1")
    assert one.thresholds == (0.5, 0.5)
    assert one.temperature == 1


def test_thresholds_do_not_depend_on_test_data():
    assert list(inspect.signature(fit_calibration).parameters) == ["validation", "beta"]
    assert "validation" not in inspect.signature(evaluate).parameters
    validation, test = miscalibrated(0), miscalibrated(1)
    calibration = fit_calibration(validation)
    before = calibration.to_json()
    evaluate(test, calibration, num_resamples=5)
    assert calibration.to_json() == before
    assert calibration.num_shared_subjects(test) == test.num_instances
    others = predictions(test.logits, test.targets, subjects=[f"new {i}" for i in range(1500)])
    assert calibration.num_shared_subjects(others) == 0


def test_calibration_survives_json():
    for validation in (miscalibrated(0), miscalibrated(0, "multiclass")):
        calibration = fit_calibration(validation, beta=2.0)
        again = Calibration.from_json(
            json.loads(json.dumps(calibration.to_json(), allow_nan=False))
        )
        assert again == calibration
    with pytest.raises(DataError, match="calibration has an unknown key 'color'"):
        Calibration.from_json({"kind": "multilabel", "color": 3})
    with pytest.raises(DataError, match=r"calibration is \[\], where an object is expected"):
        Calibration.from_json([])
    short = fit_calibration(miscalibrated(0)).to_json() | {"slopes": [1.0]}
    with pytest.raises(DataError, match=r"slopes must have \d numbers, one per class; got 1"):
        Calibration.from_json(short)
    with pytest.raises(DataError, match="beta"):
        fit_calibration(miscalibrated(0), beta=0)


def test_calibration_of_other_classes_is_rejected():
    with pytest.raises(DataError, match="does not match predictions"):
        evaluate(miscalibrated(0, "multiclass"), fit_calibration(miscalibrated(0)))


def test_regression_has_no_thresholds():
    numbers = np.random.default_rng(0).normal(size=(20, 1))
    calibration = fit_calibration(predictions(numbers, numbers, kind="regression"))
    assert (calibration.thresholds, calibration.slopes, calibration.undecided) == ((), (), ())
    with pytest.raises(DataError, match="no probabilities"):
        calibration.probabilities(numbers)
