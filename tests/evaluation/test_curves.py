"""Curves of the most frequent classes, and Wilson intervals."""

import numpy as np
import pytest

from physio_mae_jax.evaluation import curves
from physio_mae_jax.plots.evaluation import draw_roc
from tests.evaluation.evaluations import evaluated


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
