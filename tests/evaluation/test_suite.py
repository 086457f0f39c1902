"""Results of a suite, and how they are shown."""

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation.bootstrap import Estimate
from physio_mae_jax.evaluation.calibration import Calibration
from physio_mae_jax.evaluation.suite.headline import Headline
from physio_mae_jax.evaluation.suite.page import render_page
from physio_mae_jax.evaluation.suite.plot import Axis
from physio_mae_jax.evaluation.suite.results import SkippedTask, SuiteCell, TaskResult
from physio_mae_jax.evaluation.suite.retrieval_result import retrieval_result
from physio_mae_jax.evaluation.suite.text import render_suite
from tests.factories import predictions


def cell(row, fraction, value, **changes):
    settings = {
        "row": row,
        "fraction": fraction,
        "mean": Estimate(value, value - 0.1, value + 0.1),
        "difference": None,
        "values": {0: value},
        "more": {"accuracy": 0.5},
        "contaminated": False,
        "reports": (f"a/{row}/evaluation.md",),
    }
    return SuiteCell(**settings | changes)


def task(**changes):
    settings = {
        "name": "a",
        "title": "A <task> | of one's own",
        "metric": "macro AUROC",
        "protocol": "5 folds by subject",
        "num_instances": 1200,
        "num_subjects": 30,
        "cells": (
            cell("pretrained", 1.0, 0.9, contaminated=True),
            cell("pretrained", 0.1, 0.8),
            cell("wavelets", 1.0, 0.7, difference=Estimate(-0.2, -0.3, -0.1)),
        ),
        "contamination": "CONTAMINATION: 3 of 30 subjects",
        "notes": ("1 % excluded.",),
    }
    return TaskResult(**settings | changes)


@pytest.mark.parametrize(
    ("text", "title", "expected"),
    [
        ("accuracy", "accuracy", 0.75),
        ("macro_auroc", "macro AUROC", 0.75),
        ("f1:class 1", "F1 of class 1", 2 / 3),
        ("auroc:class 0", "AUROC of class 0", 0.75),
        ("macro_f1", "macro F1", (4 / 5 + 2 / 3) / 2),
    ],
)
def test_a_headline_is_the_metric_that_it_names(text, title, expected):
    targets = np.eye(2)[[0, 0, 1, 1]]
    logits = np.asarray([[3, 0], [2, 0], [0, 1], [2.5, 0]])
    headline = Headline.parse(text)
    measure = headline.measure(
        predictions(logits, targets, kind="multiclass"),
        Calibration(kind="multiclass", classes=("class 0", "class 1")),
    )
    assert headline.title == title
    assert measure(np.ones((1, 4)))[0] == pytest.approx(expected)
    assert measure(np.asarray([[1.0, 1, 1, 0]]))[0] == pytest.approx(1.0)


def test_wrong_headlines_are_rejected():
    for wrong in ("f1", "macro_f1:af", "recall", ""):
        with pytest.raises(ConfigError, match="headline is"):
            Headline.parse(wrong)
    found = predictions(np.zeros((2, 2)), np.eye(2))
    calibration = Calibration(kind="multilabel", classes=found.classes)
    with pytest.raises(DataError, match="has no accuracy"):
        Headline("accuracy").measure(found, calibration)
    with pytest.raises(DataError, match="names class 'af'"):
        Headline("auroc", "af").measure(found, calibration)


def test_the_table_shows_fractions_differences_and_marks():
    skipped = [SkippedTask(name="b", title="B", reason="not prepared")]
    text = render_suite("Suite", [task()], skipped, {"command": "python"})
    lines = text.splitlines()
    assert "| A \\<task\\> \\| of one's own | macro AUROC | **0.900†** | 0.700 |" in lines
    (row,) = [line for line in lines if line.startswith("| [fine-tuned]")]
    assert row == (
        "| [fine-tuned](a/pretrained/evaluation.md) | **0.800** [0.700, 0.900] |  "
        "| **0.900†** [0.800, 1.000] |  | 0.500 |"
    )
    (row,) = [line for line in lines if line.startswith("| [wavelets")]
    assert row.endswith("|  |  | 0.700 [0.600, 0.800] | -0.200 [-0.300, -0.100] | 0.500 |")
    assert "**† CONTAMINATION: 3 of 30 subjects**" in lines
    assert "| B | not prepared |" in lines


def test_the_page_escapes_and_shows_values_on_hover():
    page = render_page("Suite", [task(notes=("<script>",))], [], {})
    assert "A &lt;task&gt;" in page
    assert "<script" not in page
    assert "<title>wavelets, probe: macro AUROC 0.700; 95 % interval" in page
    assert 'href="a/wavelets/evaluation.md"' in page


def test_a_task_without_a_result_says_so():
    empty = task(cells=(), num_instances=0, contamination="", notes=("3 trials failed",))
    for shown in (render_suite("S", [empty], [], {}), render_page("S", [empty], [], {})):
        assert "3 trials failed" in shown
        assert "overview" not in shown.partition("<body>")[2]


def test_an_axis_has_a_few_round_ticks_within_its_range():
    for values in ([0.5, 0.9], [0.91, 0.912], [0.003, 0.9], [float("nan")], [1.0, 1.0]):
        axis = Axis.of(values)
        assert 1 <= len(axis.ticks()) <= 8, values
        assert all(axis.low <= tick <= axis.high for tick in axis.ticks())


def test_retrieval_is_a_task_of_both_directions():
    found = {"recall@1": 0.1, "recall@5": 0.2, "recall@10": 0.3, "median_rank": 40.0}
    found |= {f"chance_{name}": value / 10 for name, value in found.items()}
    directions = {
        name: {"all": found, "across": found | {"recall@1": 0.7}}
        for name in ("PPG to II", "II to PPG")
    }
    contamination = {
        "num_recordings": 4,
        "num_subjects": 2,
        "subjects": [],
        "recordings": [],
        "is_complete": True,
        "line": "contamination: none of 2 subjects",
    }
    results = {
        **{"num_windows": 80, "num_subjects": 2, "run": "runs/x", "split": "random=|0.25|"},
        **{"contamination": contamination, "pretrained": directions, "random": directions},
    }
    result = retrieval_result("retrieval", "Retrieval", results, "retrieval/retrieval.md")
    assert result.rows[:3] == ("PPG to II, trained", "PPG to II, untrained", "PPG to II, chance")
    assert [one.mean.value for one in result.cells[:3]] == [0.1, 0.1, 0.01]
    assert result.contamination == ""
    text = render_suite("S", [result], [], {})
    columns = "recall@1 | recall@5 | recall@10 | median rank | recall@1 across subjects"
    assert f"| model | {columns} |" in text
    assert "all training subjects" not in text
    beside = retrieval_result("retrieval", "Retrieval", results | {"peaks": directions}, "r.md")
    assert beside.rows[2] == "PPG to II, peaks"
    assert beside.cells[2].more["recall@1 across subjects"] == 0.7
