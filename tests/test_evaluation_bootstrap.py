"""Intervals resample people and keep every class; decisions come from validation and are sane."""

import functools
import inspect
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation import bootstrap, measures, metrics
from physio_mae_jax.evaluation.decisions import (
    Decisions,
    fit_decisions,
    uncalibrated_probabilities,
)
from physio_mae_jax.evaluation.evaluation import evaluate
from physio_mae_jax.evaluation.predictions import Predictions


def predictions(logits, targets, subjects=None, kind="multilabel", **more):
    logits, targets = np.asarray(logits, float), np.asarray(targets, float)
    names = [f"u{i}" for i in range(len(logits))]
    return Predictions(
        kind=kind,
        classes=tuple(f"class {k}" for k in range(logits.shape[1])),
        unit_ids=names,
        subjects=names if subjects is None else [str(s) for s in subjects],
        logits=logits,
        targets=targets,
        **more,
    )


@st.composite
def labelled_people(draw):
    """Labels [U, K], some very rare or very common, and subjects with several units."""
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
@given(labelled_people())
def test_people_come_whole_and_no_class_is_lost(labelled):
    targets, subjects = labelled
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
    with pytest.raises(DataError, match="strata has shape"):
        bootstrap.multiplicities(subjects, strata[1:], 2)


def test_replicates_of_many_units_need_little_memory():
    rng = np.random.default_rng(0)
    targets = (rng.random((50_000, 3)) < 0.3) * 1.0
    judged = predictions(rng.normal(size=targets.shape), targets)
    decisions = fit_decisions(predictions(rng.normal(size=(90, 3)), targets[:90]))
    tracemalloc.start()
    evaluate(judged, decisions, num_replicates=60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def clustered(rng, num_subjects, units_each, effect=1.0):
    """Scores of people: a positive one is 1.2 higher; all units of a person share a shift."""
    subjects = np.repeat(np.arange(num_subjects), units_each)
    positive = np.repeat(np.arange(num_subjects) % 3 == 0, units_each)
    shift = np.repeat(rng.normal(size=num_subjects), units_each) * effect
    noise = rng.normal(size=len(subjects))
    return subjects, positive * 1.0, 1.2 * positive + shift + noise


def auroc_interval(subjects, positive, scores, seed):
    subjects = np.array([f"{s:04}" for s in subjects])
    strata = bootstrap.strata(positive[:, None], subjects)
    weights = bootstrap.multiplicities(subjects, strata, 300, seed)
    point = metrics.auroc(scores, positive, np.ones(len(scores)))
    return bootstrap.interval(metrics.auroc(scores, positive, weights), float(point))


def test_intervals_hold_the_truth_where_units_of_a_person_agree():
    """95 % is claimed; units taken for people would be far from it."""
    truth = ndtr(1.2 / np.sqrt(2 * (1 + 1)))
    rng = np.random.default_rng(5)
    by_subject, by_unit = [], []
    for seed in range(250):
        subjects, positive, scores = clustered(rng, 120, 5)
        for held, people in ((by_subject, subjects), (by_unit, np.arange(len(scores)))):
            found = auroc_interval(people, positive, scores, seed)
            assert found.low <= found.value <= found.high
            held.append(found.low <= truth <= found.high)
    # 40 positive people of 120: about 93 %; three standard errors of 250 trials are 5 %.
    assert 0.88 < np.mean(by_subject) < 0.985
    assert np.mean(by_unit) < 0.8


def two_models(seed, noise=0.3):
    """Two models that err alike on the same 200 people."""
    rng = np.random.default_rng(seed)
    targets = np.eye(2)[rng.integers(2, size=200)]
    shared = targets * 1.2 + rng.normal(size=(200, 2))
    return [
        predictions(shared * scale + noise * rng.normal(size=(200, 2)), targets) for scale in (1, 2)
    ]


def test_paired_differences_vary_less_than_unpaired_ones():
    first, second = two_models(0)
    paired = bootstrap.paired_difference(measures.main_metric, first, second, seed=0).estimate
    groups = bootstrap.stratum_of(first)
    apart = [
        measures.main_metric(model, bootstrap.multiplicities(model.subjects, groups, 1000, seed))
        for seed, model in enumerate((first, second))
    ]
    unpaired = bootstrap.interval(apart[0] - apart[1], paired.value)
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


def test_paired_differences_are_honest_and_antisymmetric():
    held = []
    for seed in range(60):
        first, second = two_models(seed, noise=1.0)
        found = bootstrap.paired_difference(
            measures.main_metric, first, second, num_replicates=200, seed=seed
        )
        held.append(found)
    first, second = two_models(1)
    compare = functools.partial(bootstrap.paired_difference, measures.main_metric)
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
    for other in (second.only(np.arange(199)), second.only(np.arange(200)[::-1])):
        with pytest.raises(DataError, match="differ in unit_ids"):
            bootstrap.paired_difference(measures.main_metric, first, other)


def test_an_undefined_replicate_leaves_no_interval():
    assert np.isnan(bootstrap.interval(np.array([0.1, np.nan, 0.3]), 0.2).low)
    assert np.isnan(bootstrap.interval(np.array([]), 0.2).high)
    found = bootstrap.interval(np.arange(1001.0), 500.0)
    assert (found.value, found.low, found.high) == (500, 25, 975)


def miscalibrated(seed, count=1500, num_classes=3):
    """Multilabel predictions, too sure of themselves and shifted."""
    rng = np.random.default_rng(seed)
    true_odds = rng.normal(size=(count, num_classes)) * 1.5 - np.arange(num_classes)
    targets = (rng.random(true_odds.shape) < expit(true_odds)) * 1.0
    return predictions(2.5 * true_odds + 1.5, targets)


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_calibration_helps_on_others_and_keeps_every_order(kind):
    sides = [miscalibrated(0), miscalibrated(1)]
    if kind == "multiclass":
        for i, rng in enumerate(map(np.random.default_rng, (0, 1))):
            odds = rng.normal(size=(1500, 3)) * 1.5
            targets = np.eye(3)[np.argmax(odds + rng.gumbel(size=odds.shape), axis=1)]
            sides[i] = predictions(3 * odds, targets, kind="multiclass")
    validation, test = sides
    decisions = fit_decisions(validation)
    before, after = uncalibrated_probabilities(test), decisions.probabilities(test.logits)
    ones = np.ones(test.num_units)
    for k in range(3):
        for equal_mass in (False, True):
            errors = [
                metrics.expected_calibration_error(
                    p[:, k], test.targets[:, k], ones, equal_mass=equal_mass
                )
                for p in (before, after)
            ]
            assert errors[1] < 0.5 * errors[0]
        if kind == "multilabel":
            order = np.argsort(test.logits[:, k])
            assert (np.diff(after[order, k]) >= 0).all()
            assert decisions.slopes[k] == pytest.approx(1 / 2.5, rel=0.25)
    if kind == "multiclass":
        assert decisions.temperature == pytest.approx(3, rel=0.1)
        np.testing.assert_array_equal(np.argmax(before, axis=1), np.argmax(after, axis=1))
        assert not decisions.thresholds
        np.testing.assert_array_equal(
            decisions.decide(after), np.eye(3)[np.argmax(test.logits, axis=1)]
        )


def test_a_class_ranked_the_wrong_way_round_is_not_turned():
    validation = miscalibrated(0)
    decisions = fit_decisions(predictions(-validation.logits, validation.targets))
    assert min(decisions.slopes) > 0


def test_separated_classes_give_finite_decisions():
    targets = np.eye(2)[np.arange(40) % 2]
    for kind in ("multilabel", "multiclass"):
        decisions = fit_decisions(predictions(targets * 300 - 100, targets, kind=kind))
        assert np.isfinite([*decisions.slopes, *decisions.intercepts, decisions.temperature]).all()
        decided = decisions.decide(decisions.probabilities(targets * 300 - 100))
        np.testing.assert_array_equal(decided, targets)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60), st.sampled_from([0.5, 1.0, 2.0]))
def test_no_threshold_does_better_on_validation(seed, count, beta):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-3, 4, (count, 1)) * 1.0
    targets = (rng.random((count, 1)) < expit(logits)) * 1.0
    targets[:2, 0] = 0, 1
    validation = predictions(logits, targets)
    decisions = fit_decisions(validation, beta)
    probabilities = decisions.probabilities(logits)

    def score(decided):
        true = (decided * targets).sum()
        return (1 + beta**2) * true / (beta**2 * targets.sum() + decided.sum() or 1)

    found = score(decisions.decide(probabilities))
    assert found >= max(score(probabilities >= p) for p in np.unique(probabilities)) - 1e-12


def test_two_exclusive_classes_have_one_threshold():
    rng = np.random.default_rng(0)
    rare = rng.random(400) < 0.1
    targets = np.stack([~rare, rare], axis=1) * 1.0
    logits = targets * 1.5 + rng.normal(size=(400, 2)) + [3.0, 0.0]
    decisions = fit_decisions(predictions(logits, targets, kind="multiclass"))
    assert sum(decisions.thresholds) == pytest.approx(1)
    decided = decisions.decide(decisions.probabilities(logits))
    assert (decided.sum(axis=1) == 1).all()
    most_probable = np.eye(2)[np.argmax(logits, axis=1)]
    f1 = [metrics.f1(d[:, 1], targets[:, 1], np.ones(400)) for d in (decided, most_probable)]
    assert f1[0] > f1[1]


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_classes_that_validation_lacks_stay_undecided(kind):
    rng = np.random.default_rng(0)
    targets = np.eye(4)[rng.integers(2, size=50)]
    if kind == "multilabel":
        targets[:, 3] = 1
    decisions = fit_decisions(predictions(rng.normal(size=(50, 4)), targets, kind=kind))
    assert decisions.undecided == ("class 2", "class 3")
    if kind == "multilabel":
        assert decisions.thresholds[2:] == (0.5, 0.5)
        assert decisions.slopes[2:] == (1, 1)
        assert decisions.intercepts[2:] == (0, 0)
    one = fit_decisions(predictions(np.zeros((3, 2)), [[1, 0]] * 3, kind=kind))
    assert one.undecided == ("class 0", "class 1")
    assert one.thresholds == (0.5, 0.5)
    assert one.temperature == 1


def test_decisions_never_see_the_test():
    assert list(inspect.signature(fit_decisions).parameters) == ["validation", "beta"]
    assert "validation" not in inspect.signature(evaluate).parameters
    validation, test = miscalibrated(0), miscalibrated(1)
    decisions = fit_decisions(validation)
    before = decisions.to_json()
    evaluate(test, decisions, num_replicates=5)
    assert decisions.to_json() == before
    assert decisions.num_shared_subjects(test) == test.num_units
    others = predictions(test.logits, test.targets, subjects=[f"new {i}" for i in range(1500)])
    assert decisions.num_shared_subjects(others) == 0


def test_decisions_come_back_from_json():
    for validation in (miscalibrated(0), two_models(0)[0]):
        decisions = fit_decisions(validation, beta=2.0)
        again = Decisions.from_json(json.loads(json.dumps(decisions.to_json(), allow_nan=False)))
        assert again == decisions
    with pytest.raises(DataError, match="no decisions"):
        Decisions.from_json({"kind": "multilabel", "colour": 3})
    with pytest.raises(DataError, match="no decisions"):
        Decisions.from_json([])
    with pytest.raises(DataError, match="beta"):
        fit_decisions(miscalibrated(0), beta=0)


def test_decisions_of_other_classes_are_refused():
    with pytest.raises(DataError, match="are not for predictions"):
        evaluate(two_models(0)[0], fit_decisions(miscalibrated(0)))


def test_a_regression_has_nothing_to_decide():
    numbers = np.random.default_rng(0).normal(size=(20, 1))
    decisions = fit_decisions(predictions(numbers, numbers, kind="regression"))
    assert (decisions.thresholds, decisions.slopes, decisions.undecided) == ((), (), ())
    with pytest.raises(DataError, match="no probabilities"):
        decisions.probabilities(numbers)
