"""A graph that differs from JAX by more than the limits is rejected by name."""

import dataclasses

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.edge.contract import Agreement
from physio_mae_jax.inference.edge.parity import (
    add_auroc,
    agreement_of,
    require_float32,
    require_int8,
    require_small,
)
from tests.classifiers import DECISIONS

GOOD = Agreement(
    num_windows=30, relative_error=0.1, mean_cosine=0.9995, min_cosine=0.991, same_neighbor=0.96
)


def test_agreement_is_that_of_centered_outputs():
    wanted = np.random.default_rng(0).normal(size=(30, 8)) + 100
    same = agreement_of(wanted, wanted)
    assert same.relative_error == 0
    assert same.same_neighbor == 1
    assert same.min_cosine == pytest.approx(1)
    opposite = agreement_of(2 * wanted.mean(axis=0) - wanted, wanted)
    assert opposite.mean_cosine == pytest.approx(-1)


def test_each_limit_is_named():
    require_int8(GOOD)
    for name, value in [("mean_cosine", 0.9985), ("min_cosine", 0.98), ("same_neighbor", 0.9)]:
        with pytest.raises(DataError, match=f"is {value:.4f}; at least"):
            require_int8(dataclasses.replace(GOOD, **{name: value}))
    with pytest.raises(DataError, match="nothing was written"):
        require_float32(dataclasses.replace(GOOD, relative_error=float("nan")))
    require_small(500, 1000)
    with pytest.raises(DataError, match=r"has 501 bytes, 0\.50 of the 1,000 in float32; at most"):
        require_small(501, 1000)


def test_a_classifier_keeps_decisions_and_probabilities():
    wanted = np.random.default_rng(0).normal(size=(200, 2))
    found = agreement_of(wanted + 0.01, wanted, DECISIONS["multilabel"])
    assert 0 < found.probability_error < 0.01
    require_int8(dataclasses.replace(found, min_cosine=0.0))  # the logits have no direction
    with pytest.raises(DataError, match=r"the share of windows with the same decisions .* 0\.9600"):
        require_int8(dataclasses.replace(found, same_decision=0.96))
    with pytest.raises(DataError, match=r"probabilities on 200 .* differ by 0\.0200 on average"):
        require_int8(dataclasses.replace(found, probability_error=0.02))


def test_the_auroc_of_labels_is_kept():
    rng = np.random.default_rng(0)
    labels = np.repeat([[0], [1]], 50, axis=0)
    wanted = labels + 0.5 * rng.normal(size=(100, 1))
    same = add_auroc(GOOD, wanted, wanted, labels, None)
    require_int8(same)
    worse = add_auroc(GOOD, wanted + rng.normal(size=(100, 1)), wanted, labels, None)
    assert worse.auroc < same.auroc == worse.reference_auroc
    with pytest.raises(DataError, match=r"AUROC of calibration_labels .* at most 0\.002 less"):
        require_int8(worse)
