"""Reports are complete, and reject predictions of another evaluation."""

import dataclasses
import json
import re

import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.evaluation import compare, evaluate
from physio_mae_jax.evaluation.report import write_report
from tests.evaluation.evaluations import CONTEXT, REPLICATES, SHARES, evaluated


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
