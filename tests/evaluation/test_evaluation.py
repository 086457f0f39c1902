"""Evaluations mark what is weak in them, and compare models in pairs."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.evaluation import compare, evaluate
from tests.evaluation.evaluations import REPLICATES, evaluated, simulate


def test_averages_are_shown_with_and_without_rare_classes():
    predictions, _, evaluations = evaluated()
    test, result = predictions["test"], evaluations["test"]
    areas = [roc_auc_score(t, s) for t, s in zip(test.targets.T, test.logits.T, strict=True)]
    assert [row.rare for row in result.by_class] == [False] * 4 + [True]
    assert result.main.value == pytest.approx(np.mean(areas), abs=1e-12)
    frequent = result.overall_frequent["macro_auroc"]
    assert frequent.value == pytest.approx(np.mean(areas[:4]), abs=1e-12)
    assert frequent.low < frequent.value < frequent.high
    for row, area, positives in zip(result.by_class, areas, test.targets.sum(axis=0), strict=True):
        assert row.metrics["auroc"].value == pytest.approx(area, abs=1e-12)
        assert row.num_positives + row.num_negatives == 400
        assert row.num_positives == positives
        assert row.num_positive_subjects <= row.num_positives
    assert (result.num_instances, result.num_subjects) == (400, len(set(test.subjects.tolist())))
    for counts, row in zip(result.confusion, result.by_class, strict=True):
        assert counts[0] + counts[1] == row.num_positives
        assert sum(counts) == 400


def test_too_few_negatives_make_a_class_rare_as_too_few_positives_do():
    predictions, calibration, _ = evaluated(shares=(0.5, 0.3, 0.3, 0.3))
    targets = predictions["test"].targets.copy()
    targets[:, 1:] = 1
    targets[:9, 1] = 0
    targets[:10, 2] = 0
    test = dataclasses.replace(predictions["test"], targets=targets)
    result = evaluate(test, calibration, num_resamples=REPLICATES)
    assert [row.num_negatives for row in result.by_class][1:] == [9, 10, 0]
    assert [row.rare for row in result.by_class] == [False, True, False, True]
    assert [row.is_absent for row in result.by_class] == [False, False, False, True]
    areas = [row.metrics["auroc"].value for row in result.by_class]
    assert result.main.value == pytest.approx(np.mean(areas[:3]))
    assert result.overall_frequent["macro_auroc"].value == pytest.approx((areas[0] + areas[2]) / 2)


def test_the_order_of_units_changes_nothing():
    predictions, calibration, evaluations = evaluated()
    order = np.random.default_rng(0).permutation(400)
    again = evaluate(predictions["test"].select(order), calibration, num_resamples=REPLICATES)

    def numbers(content):
        if isinstance(content, dict):
            content = list(content.values())
        if isinstance(content, list):
            return [number for held in content for number in numbers(held)]
        return [content] if isinstance(content, int | float) else []

    expected = numbers(evaluations["test"].to_json())
    np.testing.assert_allclose(numbers(again.to_json()), expected, rtol=1e-9, atol=1e-12)


def test_multiclass_figures_are_those_of_the_whole_unit():
    predictions, _, evaluations = evaluated("multiclass", shares=(0.5, 0.3, 0.2))
    test, result = predictions["test"], evaluations["test"]
    right = np.argmax(test.logits, axis=1) == np.argmax(test.targets, axis=1)
    assert result.overall["accuracy"].value == pytest.approx(right.mean())
    assert np.trace(np.array(result.confusion)) == right.sum()
    sensitivities = [row.metrics["sensitivity"].value for row in result.by_class]
    assert result.overall["balanced_accuracy"].value == pytest.approx(np.mean(sensitivities))
    assert result.calibration[0].name == "predicted class"
    assert [row.name for row in result.calibration[1:]] == list(test.classes)


def test_a_regression_is_evaluated_by_its_error():
    predictions, _, evaluations = evaluated("regression", shares=(1, 1))
    error = predictions["test"].logits - predictions["test"].targets
    result = evaluations["test"]
    assert result.main.value == pytest.approx(np.abs(error).mean())
    assert list(result.overall) == ["mae"]
    for k, row in enumerate(result.by_class):
        assert row.metrics["bias"].value == pytest.approx(error[:, k].mean())
        spread = 1.96 * error[:, k].std(ddof=1)
        upper = row.metrics["upper_limit_of_agreement"].value
        assert upper == pytest.approx(error[:, k].mean() + spread, rel=1e-4)
    assert (result.calibration, result.confusion, result.overall_frequent) == ((), (), {})
    assert {group.attribute for group in result.subgroups} == {"sex", "age"}


def test_a_class_of_two_subjects_has_an_interval_and_one_of_one_has_none():
    predictions, calibration, _ = evaluated(shares=(0.5, 0.3, 0.2))
    test = predictions["test"]
    subjects = np.unique(test.subjects)
    targets = test.targets.copy()
    targets[:, 1] = np.isin(test.subjects, subjects[:2])
    targets[:, 2] = test.subjects == subjects[5]
    result = evaluate(dataclasses.replace(test, targets=targets), calibration, num_resamples=50)
    assert [row.num_positive_subjects for row in result.by_class][1:] == [2, 1]
    areas = [row.metrics["auroc"] for row in result.by_class]
    assert [np.isfinite(area.low) for area in areas] == [True, True, False]


def test_models_are_compared_in_pairs():
    test = simulate(2)
    rng = np.random.default_rng(0)
    worse = dataclasses.replace(test, logits=test.logits + rng.normal(size=test.logits.shape) * 3)
    found = compare({"a": test, "b": worse, "c": test}, "a", num_resamples=REPLICATES)
    metrics = ["macro_auroc", "macro_auroc without rare classes"]
    assert [(c.name, c.metric) for c in found] == [(n, m) for n in "bc" for m in metrics]
    for comparison in found[:2]:
        estimate = comparison.difference.estimate
        assert estimate.value == pytest.approx(comparison.value - comparison.reference_value)
        assert estimate.value < 0
    assert found[1].difference.share_not_above_zero == 1
    assert found[2].difference.estimate.value == 0
    with pytest.raises(DataError, match=r"reference must be one of .*; got 'z'"):
        compare({"a": test}, "z")
    with pytest.raises(DataError, match="differ in instance_ids"):
        compare({"a": test, "b": test.select(np.arange(399))}, "a")
