"""Reports begin with their caveats, and state what is missing."""

import re

import numpy as np
import pytest

from physio_mae_jax.evaluation.caveats import caveats
from physio_mae_jax.evaluation.evaluation import evaluate
from physio_mae_jax.evaluation.report_text import render_report
from tests.evaluation.evaluations import CONTEXT, REPLICATES, SHARES, evaluated


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
