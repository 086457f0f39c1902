"""Evaluations mark what is weak in them, and cards say it before anything else."""

import dataclasses
import functools
import json
import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import curves, subgroups
from physio_mae_jax.evaluation.calibration import Calibration, fit_calibration
from physio_mae_jax.evaluation.caveats import caveats
from physio_mae_jax.evaluation.evaluation import compare, evaluate
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.report import write_report
from physio_mae_jax.evaluation.report_text import render_report
from physio_mae_jax.plots.evaluation import draw_roc

REPLICATES = 60
CLEAN = "contamination: none of 90 subjects and 100 recordings was trained on."
CONTEXT = {
    "command": "python -m physio_mae_jax.main --mode=evaluate",
    "versions": {"jax": "0.10"},
    "device": "cpu",
    "data": {"ptbxl": "91ab"},
    "split rule": "fold=1-8|9|10",
    "contamination": CLEAN,
    "checkpoint": "runs/1",
    "seeds": {"training": 0},
}


SHARES = (0.5, 0.3, 0.2, 0.1, 0.01)


def simulate(seed, count=400, kind="multilabel", shares=SHARES, subjects=300):
    """Predictions with sex and age; subjects of one seed are not those of another."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares)
    if kind == "multilabel":
        targets = (rng.random((count, len(shares))) < shares) * 1.0
        logits = 2 * targets + rng.normal(size=targets.shape)
    elif kind == "multiclass":
        targets = np.eye(len(shares))[rng.choice(len(shares), count, p=shares / shares.sum())]
        logits = 2 * targets + rng.normal(size=targets.shape)
    else:
        targets = rng.normal(120, 15, (count, len(shares)))
        logits = targets + rng.normal(2, 5, targets.shape)
    age = rng.integers(20, 100, count)
    return Predictions(
        kind=kind,
        classes=tuple(f"class_{k}" for k in range(len(shares))),
        instance_ids=[f"{seed}/{i}" for i in range(count)],
        subjects=[f"{seed}/{i}" for i in rng.integers(subjects, size=count)],
        logits=logits,
        targets=targets,
        attributes={
            "sex": rng.choice(["female", "male", ""], count, p=[0.5, 0.4, 0.1]),
            "age": np.where(age > 89, ">89", age.astype(str)),
        },
    )


@functools.cache
def evaluated(kind="multilabel", shares=SHARES):
    validation, test = (simulate(seed, kind=kind, shares=shares) for seed in (1, 2))
    calibration = fit_calibration(validation)
    found = {
        part: evaluate(some, calibration, num_resamples=REPLICATES)
        for part, some in (("test", test), ("validation", validation))
    }
    return {"test": test, "validation": validation}, calibration, found


def write(folder, kind="multilabel", shares=SHARES):
    predictions, calibration, evaluations = evaluated(kind, shares)
    return write_report(
        folder,
        title="A model",
        evaluations=evaluations,
        predictions=predictions,
        calibration=calibration,
        context=CONTEXT,
    ).read_text(encoding="utf-8")


def report(kind="multilabel", shares=SHARES, context=CONTEXT, parts=("test", "validation")):
    """Return the text of a card, without its pictures."""
    _, calibration, evaluations = evaluated(kind, shares)
    return render_report(
        title="A model",
        evaluations={part: evaluations[part] for part in parts},
        calibration=calibration,
        context=context,
        comparisons=(),
        plots=(),
    )


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


def test_a_class_without_positives_is_named_and_in_no_average():
    predictions, calibration, _ = evaluated(shares=(0.5, 0.3, 0.0))
    result = evaluate(predictions["test"], calibration, num_resamples=REPLICATES)
    assert result.by_class[2].is_absent
    assert np.isnan(result.by_class[2].metrics["auroc"].value)
    areas = [row.metrics["auroc"].value for row in result.by_class[:2]]
    assert result.main.value == pytest.approx(np.mean(areas))
    assert np.isfinite(result.main.low)
    # Excluding the rare excludes no more than is absent anyway.
    assert result.overall_frequent == {}
    text = report(shares=(0.5, 0.3, 0.0))
    assert "2 of 3 labels" in text
    assert "Excluded from all averages, no positives or no negatives: class_2." in text
    assert "not chosen" in text


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


def test_one_subject_has_no_interval():
    predictions, calibration, _ = evaluated()
    test = dataclasses.replace(predictions["test"], subjects=np.full(400, "the only one"))
    result = evaluate(test, calibration, num_resamples=REPLICATES)
    assert np.isfinite(result.main.value)
    assert np.isnan(result.main.low)
    assert all(np.isnan(row.metrics["auroc"].low) for row in result.by_class)
    assert any("Only 1 subject:" in doubt for doubt in caveats({"test": result}, CONTEXT))


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


@pytest.mark.parametrize(
    ("kind", "shares", "pictures"),
    [
        ("multilabel", (0.5, 0.3, 0.01), {"roc", "precision_recall", "reliability", "confusion"}),
        ("multilabel", (0.3,), {"roc", "precision_recall", "reliability", "confusion"}),
        ("multilabel", (0.0,), {"confusion"}),
        ("multilabel", (0.2,) * 21, {"roc", "precision_recall", "reliability", "confusion"}),
        ("multiclass", (0.6, 0.4), {"roc", "precision_recall", "reliability", "confusion"}),
        ("multiclass", (0.04,) * 21, {"roc", "precision_recall", "reliability", "confusion"}),
        ("regression", (1, 1), {"scatter", "bland_altman"}),
    ],
)
def test_reports_are_complete(tmp_path, kind, shares, pictures):
    text = write(tmp_path, kind, shares=shares)
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    images = {f"plots/{name}.png" for name in pictures}
    assert files == {"evaluation.md", "evaluation.json"} | images
    assert set(re.findall(r"\]\((plots/.*?)\)", text)) == images

    def reject(constant):
        raise AssertionError(f"{constant} is no JSON")

    written = (tmp_path / "evaluation.json").read_text(encoding="utf-8")
    content = json.loads(written, parse_constant=reject)
    assert content["context"] == CONTEXT
    _, calibration, evaluations = evaluated(kind, shares=shares)
    assert Calibration.from_json(content["calibration"]) == calibration
    assert content["evaluations"]["test"] == evaluations["test"].to_json()
    # Tables are whole: as many cells in every row as in the head of its table.
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1
    assert "nan" not in text


def test_report_shows_available_learning_curves_and_comparisons(tmp_path):
    predictions, calibration, evaluations = evaluated()
    test = predictions["test"]
    noise = np.random.default_rng(0).normal(size=test.logits.shape)
    worse = dataclasses.replace(test, logits=test.logits + 3 * noise)
    atomic_files.write_text(tmp_path / "plots" / "learning_curves.png", "a picture")
    text = write_report(
        tmp_path,
        title="A model",
        evaluations=evaluations,
        predictions=predictions,
        calibration=calibration,
        context=CONTEXT,
        comparisons=compare({"a": test, "b": worse}, "a", num_resamples=REPLICATES),
    ).read_text(encoding="utf-8")
    assert "![learning curves](plots/learning_curves.png)" in text
    rows = re.findall(r"^\| b \| a \| (.*?) \| .* \| (-0\.\d+) \[.*\] \|", text, re.MULTILINE)
    assert [name for name, _ in rows] == ["macro AUROC", "macro AUROC without rare classes"]


def test_report_begins_with_its_caveats():
    bad = "CONTAMINATION: 3 of 90 subjects (a, b, c) and the samples of 0 of 100 recordings"
    assert report().split("\n")[2].startswith("**macro AUROC")
    text = report(context=CONTEXT | {"contamination": bad})
    assert text.split("\n")[2] == f"> **{bad}**"
    assert text.count(bad) == 1
    unchecked = {name: held for name, held in CONTEXT.items() if name != "contamination"}
    assert "Contamination was not checked" in report(context=unchecked).split("\n")[2]
    alone = report(parts=("validation",))
    assert "No test split was evaluated" in alone.split("\n")[2]
    predictions, calibration, _ = evaluated()
    result = evaluate(predictions["validation"], calibration, num_resamples=5)
    assert "Thresholds were chosen on" in caveats({"test": result}, CONTEXT)[0]


def test_report_states_missing_context():
    text = report(context={"split rule": "x", "split hash": "y"})
    for name in ("versions", "device", "data", "checkpoint", "seeds"):
        assert f"| {name} | not stated |" in text
    assert "| split | not stated |" not in text
    assert "    not stated" in text


def test_report_marks_rare_classes_and_states_threshold_source():
    text = report()
    assert re.search(r"^\| class_4\\\* \|", text, re.MULTILINE)
    assert not re.search(r"^\| class_0(\\\*|†) \|", text, re.MULTILINE)
    assert "Without 1 rare label:" in text
    assert "## Calibration, chosen on validation" in text
    assert re.search(r"^\| class_4 \|.*unreliable: too few \|$", text, re.MULTILINE)
    two = report("multiclass", (0.6, 0.4))
    assert "class_1 is predicted if it reaches its threshold, else class_0." in two


def test_names_cannot_break_the_tables(tmp_path):
    predictions, calibration, _ = evaluated(shares=(0.5, 0.4))
    names = ("a|b *c*", "<x>\n[y]")
    test = dataclasses.replace(predictions["test"], classes=names)
    calibration = dataclasses.replace(calibration, classes=names)
    result = evaluate(test, calibration, num_resamples=5)
    text = write_report(
        tmp_path,
        title="One\ntitle",
        evaluations={"test": result},
        predictions={"test": test},
        calibration=calibration,
        context=CONTEXT,
    ).read_text(encoding="utf-8")
    assert text.startswith("# One title\n")
    assert "| a\\|b \\*c\\* |" in text
    assert "| \\<x\\> \\[y\\] |" in text


def test_a_card_of_other_predictions_is_rejected(tmp_path):
    predictions, calibration, evaluations = evaluated()
    common = {"title": "", "calibration": calibration, "context": CONTEXT}
    half = {"test": predictions["test"].select(np.arange(10))}
    for parts, given in ((evaluations, half), (evaluations, {}), ({}, half), ({"train": 1}, half)):
        with pytest.raises(DataError, match="report"):
            write_report(tmp_path, evaluations=parts, predictions=given, **common)
    assert not list(tmp_path.iterdir())


def test_plots_show_the_most_frequent_classes():
    shares = np.linspace(0.1, 0.5, 12)
    predictions, _, evaluations = evaluated(shares=tuple(shares))
    lines, average = curves.roc_curves(predictions["test"], evaluations["test"])
    positives = predictions["test"].targets.sum(axis=0)
    shown = curves.shown_classes(evaluations["test"])
    assert set(shown) == set(np.argsort(-positives, kind="stable")[:8])
    assert [line.label.split()[0] for line in lines] == [f"class_{k}" for k in shown]
    figure = draw_roc(lines, average, "")
    assert len(figure.axes[0].get_legend().get_texts()) == 9
    # The average curve is of all classes, and its area is the macro AUROC but for the grid.
    area = np.trapezoid(average.y, average.x)
    assert area == pytest.approx(evaluations["test"].main.value, abs=0.005)
    _, average = curves.precision_recall_curves(predictions["test"], evaluations["test"])
    precision = evaluations["test"].overall["macro_average_precision"].value
    assert average.y.mean() == pytest.approx(precision, abs=0.005)


def test_wilson_intervals_cover_the_true_value():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.3, 0.9):
        found = rng.binomial(60, share, 5000)
        low, high = curves.wilson(found, np.full(5000, 60.0))
        assert 0.92 < np.mean((low <= share) & (share <= high)) < 0.99
