"""Summaries average seeds and pair differences."""

import dataclasses

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.metric_sets import main_metric
from physio_mae_jax.evaluation.summary import ComparedRun, ComparedTrial, summarize_comparison
from tests.evaluation.fold_predictions import predictions


def compared(row, seed, made, fraction=1.0):
    trial = ComparedTrial(row=row, fraction=fraction, seed=seed)
    return ComparedRun(trial=trial, predictions=made, metrics={"macro_f1": 0.1 * seed}, context={})


def with_logits_of(truth, seed, shift):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=truth.logits.shape) + shift * truth.targets
    return dataclasses.replace(truth, logits=logits)


def test_a_summary_averages_seeds_and_pairs_differences():
    truth = predictions(0)
    models = [
        *(compared("good", seed, with_logits_of(truth, seed, 3.0)) for seed in range(3)),
        *(compared("bad", seed, with_logits_of(truth, 10 + seed, 0.5)) for seed in range(3)),
        *(compared("twin", seed, with_logits_of(truth, seed, 3.0)) for seed in range(3)),
    ]
    good, bad, twin = summarize_comparison(models, num_resamples=200)
    ones = np.ones(truth.num_instances)
    values = [float(main_metric(m.predictions, ones)) for m in models[:3]]
    assert list(good.values.values()) == values
    assert good.mean.value == pytest.approx(np.mean(values))
    assert good.std == pytest.approx(np.std(values, ddof=1))
    assert good.more == {"macro_f1": pytest.approx(0.1)}
    assert good.difference is None
    assert bad.difference.value == pytest.approx(bad.mean.value - good.mean.value)
    assert bad.difference.high < 0
    assert (twin.difference.value, twin.difference.low, twin.difference.high) == (0, 0, 0)


def test_a_summary_rejects_other_units():
    one = compared("a", 0, predictions(0))
    other = compared("b", 0, predictions(1))
    with pytest.raises(DataError, match="differ in targets"):
        summarize_comparison([one, other], num_resamples=10)
