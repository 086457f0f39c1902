"""Ranks of retrieval, and their chance level."""

import numpy as np
import pytest

from physio_mae_jax.evaluation.retrieval import rank_metrics


def test_ranks_and_chance():
    similarity = np.array(
        [[0.9, 0.1, 0.2, 0.3], [0.5, 0.4, 0.3, 0.2], [0, 0, 1, 0], [1, 1, 1, 1.0]]
    )
    subjects = np.array([0, 0, 1, 1])
    every = rank_metrics(similarity, subjects, "all")
    assert every["recall@1"] == pytest.approx(0.5)  # a tie counts at its middle, 2.5
    assert every["median_rank"] == pytest.approx(1.5)
    assert every["chance_recall@1"] == pytest.approx(0.25)
    within = rank_metrics(similarity, subjects, "within")
    assert within["candidates"] == 2
    across = rank_metrics(similarity, subjects, "across")
    assert across["recall@1"] == pytest.approx(0.75)
