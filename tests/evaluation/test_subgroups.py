"""Subgroups by sex and age, without what is too rare in them."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from physio_mae_jax.evaluation import subgroups
from physio_mae_jax.evaluation.calibration import fit_calibration
from physio_mae_jax.evaluation.evaluation import evaluate
from tests.evaluation.evaluations import evaluated, simulate


def test_subgroups_exclude_what_is_too_rare_in_them():
    predictions, _, evaluations = evaluated()
    test, result = predictions["test"], evaluations["test"]
    for group in result.subgroups:
        assert group.excluded == tuple(n for n, c in group.num_positives.items() if c < 10)
        assert "class_4" in group.excluded
    female = next(group for group in result.subgroups if group.name == "female")
    some = test.attributes["sex"] == "female"
    areas = [roc_auc_score(test.targets[some, k], test.logits[some, k]) for k in range(4)]
    assert female.estimate.value == pytest.approx(np.mean(areas))
    assert female.num_instances == some.sum()
    ages = [group for group in result.subgroups if group.attribute == "age"]
    assert [group.name for group in ages] == ["<40", "40-60", "60-80", "≥80"]
    assert sum(group.num_instances for group in ages) == 400
    assert result.num_unknown == {"sex": (test.attributes["sex"] == "").sum(), "age": 0}
    few = evaluate(test.select(np.arange(30)), fit_calibration(test), num_resamples=5)
    lost = [group for group in few.subgroups if len(group.excluded) == 5]
    assert lost
    assert all(np.isnan(group.estimate.value) for group in lost)
    clean_name = dataclasses.replace(test, attributes={})
    assert evaluate(clean_name, fit_calibration(test), num_resamples=5).subgroups == ()


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("63", 63),
        (" 63.5", 63.5),
        (">89", 89),
        ("89+", 89),
        ("063Y", 63),
        (">= 90", 90),
        ("≥90", 90),
    ],
)
def test_ages_are_read_as_subjects_write_them(text, years):
    assert subgroups.parse_age(text) == years


@pytest.mark.parametrize("text", ["", "nan", "adult", "<40", "40-60", "-3"])
def test_other_ages_are_unknown(text):
    assert np.isnan(subgroups.parse_age(text))


def test_bins_of_age_start_at_their_name():
    ages = np.array([0, 39.9, 40, 59.9, 60, 79.9, 80, 300, np.nan, -1, np.inf])
    predictions = dataclasses.replace(simulate(0, count=11), attributes={"age": ages})
    found = {
        name: np.flatnonzero(instances).tolist()
        for _, name, instances in subgroups.subgroups(predictions)
    }
    assert found == {"<40": [0, 1], "40-60": [2, 3], "60-80": [4, 5], "≥80": [6, 7]}
    assert subgroups.num_unknown(predictions) == {"age": 3}
