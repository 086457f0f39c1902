"""Probabilities and decisions of logits, with NumPy alone."""

import dataclasses

import numpy as np
import pytest
from scipy import special

from physio_mae_jax.inference.class_decision import ClassDecision, sigmoid, softmax
from physio_mae_jax.inference.recording_classifier import decide
from tests.classifiers import DECISIONS


def test_they_are_the_functions_of_scipy_without_overflow():
    values = np.asarray([[-1e4, -30.0, 0.0, 1.5, 40.0, 1e4]])
    np.testing.assert_allclose(sigmoid(values), special.expit(values), rtol=1e-14)
    np.testing.assert_allclose(softmax(values), special.softmax(values, axis=1), rtol=1e-14)


def test_thresholds_decide():
    logits = np.asarray([[0.0, -0.1], [0.0, -0.3]])
    probabilities, decisions = decide(DECISIONS["two classes"], logits)
    assert probabilities[:, 1] == pytest.approx([0.4875, 0.4626], abs=1e-4)
    assert decisions.tolist() == [[False, True], [True, False]]
    _, decisions = decide(DECISIONS["multilabel"], np.asarray([[0.0, -0.3], [-0.1, 5.0]]))
    assert decisions.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize("name", DECISIONS)
def test_what_was_not_classified_has_no_class(name):
    decision = DECISIONS[name]
    probabilities, decisions = decide(decision, np.full((1, len(decision.classes)), np.nan))
    assert np.isnan(probabilities).all()
    assert not decisions.any()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kind": "ordinal"}, "kind must be one of multilabel, multiclass, regression"),
        ({"slopes": (1.0,)}, "slopes must have 2 numbers"),
        ({"thresholds": ()}, "thresholds must have 2 numbers"),
        ({"slopes": (1.0, 0.0)}, "above 0"),
        ({"temperature": 0.0}, "above 0"),
    ],
)
def test_a_contradiction_is_named(changes, problem):
    good: ClassDecision = DECISIONS["multilabel"]
    assert good.contradiction() == ""
    assert problem in dataclasses.replace(good, **changes).contradiction()
