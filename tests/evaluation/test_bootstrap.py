"""Intervals resample subjects, whole, and keep every class; differences are paired."""

import functools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import bootstrap, metric_sets, metrics
from physio_mae_jax.evaluation.calibration import fit_calibration
from physio_mae_jax.evaluation.evaluation import evaluate
from tests.factories import predictions


@st.composite
def labeled_subjects(draw):
    """Labels [U, K], some very rare or very common, and subjects with several instances."""
    count, classes = draw(st.integers(4, 60)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = rng.choice([0.03, 0.2, 0.5, 0.97], classes)
    # Labels that mostly occur together with rarer ones are the hard case.
    common = rng.random((count, 1))
    targets = (
        np.where(rng.random(classes) < 0.5, common, rng.random((count, classes))) < shares
    ) * 1
    return targets, rng.integers(draw(st.integers(1, count)), size=count).astype(str)


@settings(max_examples=150, deadline=None)
@given(labeled_subjects())
def test_subjects_come_whole_and_no_class_is_lost(labeled):
    targets, subjects = labeled
    strata = bootstrap.strata(targets, subjects)
    weights = bootstrap.multiplicities(subjects, strata, 30, seed=3)
    names, unit_subject = np.unique(subjects, return_inverse=True)
    assert strata.shape == names.shape
    by_subject = np.stack([weights[:, unit_subject == s][:, 0] for s in range(len(names))], axis=1)
    np.testing.assert_array_equal(weights, by_subject[:, unit_subject])
    # As many subjects of each stratum as there are.
    for stratum in np.unique(strata):
        drawn = by_subject[:, strata == stratum].sum(axis=1)
        np.testing.assert_array_equal(drawn, np.count_nonzero(strata == stratum))
    for value in (0, 1):
        present = (targets == value).any(axis=0)
        kept = weights @ (targets == value)
        assert (kept[:, present] > 0).all()


def test_the_stratum_of_a_subject_is_its_rarest_class():
    targets = np.array([[1, 0, 0]] * 6 + [[1, 1, 0]] * 3 + [[0, 1, 1]] * 2 + [[0, 0, 0]] * 4)
    strata = bootstrap.strata(targets, np.array([f"{i:02}" for i in range(15)]))
    groups = [set(strata[some].tolist()) for some in np.split(np.arange(15), [6, 9, 11])]
    assert all(len(group) == 1 for group in groups)
    assert len(set().union(*groups)) == 4


def test_resampling_changes_something_where_a_stratum_has_two_subjects():
    assert not bootstrap.has_variation(np.array([0, 1, 2]))
    assert bootstrap.has_variation(np.array([0, 1, 1]))


def test_plain_resampling_would_lose_the_rare_class():
    """The reason for strata: 3 positives of 200 are lost in one replicate of twenty."""
    targets = (np.arange(200) < 3)[:, None] * 1
    subjects = np.arange(200).astype(str)
    plain = bootstrap.multiplicities(subjects, np.zeros(200, int), 2000, seed=0) @ targets
    assert 0.03 < np.mean(plain == 0) < 0.07
    kept = bootstrap.multiplicities(subjects, bootstrap.strata(targets, subjects), 2000, seed=0)
    assert (kept @ targets == 3).all()


def test_replicates_depend_on_seed_and_number_alone(monkeypatch):
    subjects = np.random.default_rng(0).integers(20, size=50).astype(str)
    strata = np.arange(len(np.unique(subjects))) % 3
    whole = bootstrap.multiplicities(subjects, strata, 40, seed=1)
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 7 * 50)
    blocks = list(bootstrap.multiplicity_blocks(subjects, strata, 40, 1))
    assert [len(block) for block in blocks] == [7] * 5 + [5]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(bootstrap.multiplicities(subjects, strata, 9, seed=1), whole[:9])
    assert (bootstrap.multiplicities(subjects, strata, 40, seed=2) != whole).any()
    with pytest.raises(DataError, match="strata must have shape"):
        bootstrap.multiplicities(subjects, strata[1:], 2)


def test_replicates_of_many_units_need_little_memory():
    rng = np.random.default_rng(0)
    targets = (rng.random((50_000, 3)) < 0.3) * 1.0
    evaluated = predictions(rng.normal(size=targets.shape), targets)
    calibration = fit_calibration(predictions(rng.normal(size=(90, 3)), targets[:90]))
    tracemalloc.start()
    evaluate(evaluated, calibration, num_resamples=60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def clustered(rng, num_subjects, units_each, effect=1.0):
    """Scores of subjects: a positive one is 1.2 higher.

    All instances of a subject share a shift.
    """
    subjects = np.repeat(np.arange(num_subjects), units_each)
    positive = np.repeat(np.arange(num_subjects) % 3 == 0, units_each)
    shift = np.repeat(rng.normal(size=num_subjects), units_each) * effect
    noise = rng.normal(size=len(subjects))
    return subjects, positive * 1.0, 1.2 * positive + shift + noise


def auroc_interval(subjects, positive, scores, seed):
    subjects = np.array([f"{s:04}" for s in subjects])
    strata = bootstrap.strata(positive[:, None], subjects)
    weights = bootstrap.multiplicities(subjects, strata, 200, seed)
    point = metrics.auroc(scores, positive, np.ones(len(scores)))
    return bootstrap.confidence_interval(metrics.auroc(scores, positive, weights), float(point))


def test_intervals_hold_the_truth_where_instances_of_a_subject_agree():
    """95 % is claimed; instances taken for subjects would be far from it."""
    truth = ndtr(1.2 / np.sqrt(2 * (1 + 1)))
    rng = np.random.default_rng(5)
    by_subject, by_instance = [], []
    for seed in range(150):
        subjects, positive, scores = clustered(rng, 120, 5)
        for held, clusters in ((by_subject, subjects), (by_instance, np.arange(len(scores)))):
            found = auroc_interval(clusters, positive, scores, seed)
            assert found.low <= found.value <= found.high
            held.append(found.low <= truth <= found.high)
    # 40 positive subjects of 120: about 93 %; three standard errors of 150 trials are 6 %.
    assert 0.87 < np.mean(by_subject) < 0.99
    assert np.mean(by_instance) < 0.8


def two_models(seed, noise=0.3):
    """Two models that err alike on the same 200 subjects."""
    rng = np.random.default_rng(seed)
    targets = np.eye(2)[rng.integers(2, size=200)]
    shared = targets * 1.2 + rng.normal(size=(200, 2))
    return [
        predictions(shared * scale + noise * rng.normal(size=(200, 2)), targets) for scale in (1, 2)
    ]


def test_paired_differences_vary_less_than_unpaired_ones():
    first, second = two_models(0)
    paired = bootstrap.paired_difference(metric_sets.main_metric, first, second, seed=0).estimate
    groups = bootstrap.get_strata(first)
    apart = [
        metric_sets.main_metric(model, bootstrap.multiplicities(model.subjects, groups, 1000, seed))
        for seed, model in enumerate((first, second))
    ]
    unpaired = bootstrap.confidence_interval(apart[0] - apart[1], paired.value)
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


def test_paired_differences_are_honest_and_antisymmetric():
    held = []
    for seed in range(60):
        first, second = two_models(seed, noise=1.0)
        found = bootstrap.paired_difference(
            metric_sets.main_metric, first, second, num_resamples=200, seed=seed
        )
        held.append(found)
    first, second = two_models(1)
    compare = functools.partial(bootstrap.paired_difference, metric_sets.main_metric)
    forth, back = compare(first, second), compare(second, first)
    assert forth.estimate.value == -back.estimate.value
    np.testing.assert_allclose(forth.estimate.low, -back.estimate.high, atol=1e-12)
    same = compare(first, first)
    assert (same.estimate.value, same.estimate.low, same.share_not_above_zero) == (0, 0, 1)
    # The second model has half the noise beside its signal, so that it is better nearly always.
    assert np.mean([found.estimate.value < 0 for found in held]) > 0.9
    assert np.mean([found.share_not_above_zero for found in held]) > 0.9


def test_only_the_same_units_are_compared():
    first, second = two_models(0)
    for other in (second.select(np.arange(199)), second.select(np.arange(200)[::-1])):
        with pytest.raises(DataError, match="differ in instance_ids"):
            bootstrap.paired_difference(metric_sets.main_metric, first, other)


def test_an_undefined_replicate_leaves_no_interval():
    assert np.isnan(bootstrap.confidence_interval(np.array([0.1, np.nan, 0.3]), 0.2).low)
    assert np.isnan(bootstrap.confidence_interval(np.array([]), 0.2).high)
    found = bootstrap.confidence_interval(np.arange(1001.0), 500.0)
    assert (found.value, found.low, found.high) == (500, 25, 975)
