"""Onsets and offsets, matched one to one within the tolerance."""

import numpy as np
import pytest

from physio_mae_jax.evaluation.boundaries import find_boundaries, match_boundaries


def track(length, *runs, fill=0):
    labels = np.full(length, fill, np.int8)
    for start, stop, label in runs:
        labels[start:stop] = label
    return labels


def test_boundaries_are_the_first_and_last_samples_of_runs():
    labels = track(100, (10, 20, 1), (20, 25, 2), (40, 41, 1))
    known = np.ones(100, bool)
    found = find_boundaries(labels, 1, known)
    assert found["onset"].tolist() == [10, 40]
    assert found["offset"].tolist() == [19, 40]
    # Cut runs: at the ends of the track, and where nothing is known beside them.
    labels = track(100, (0, 5, 1), (48, 60, 1), (95, 100, 1))
    known[50:55] = False
    found = find_boundaries(labels, 1, known)
    assert found["onset"].tolist() == [48, 95]
    assert found["offset"].tolist() == [4, 59]


def test_predictions_find_annotations_within_the_tolerance():
    targets = track(1000, (100, 120, 1), (300, 320, 1), (500, 520, 1), (520, 540, 2))
    predicted = track(1000, (103, 118, 1), (340, 360, 1), (700, 720, 1), (521, 540, 2))
    found = match_boundaries(predicted, targets, 1, 15.0)
    assert found["onset"].errors.tolist() == [3]
    assert found["offset"].errors.tolist() == [-2]
    assert (found["onset"].num_missed, found["onset"].num_extra) == (2, 2)
    # Another class finds nothing.
    assert match_boundaries(predicted, targets, 2, 15.0)["onset"].errors.tolist() == [1]


def test_one_prediction_finds_one_annotation_and_the_closest_first():
    targets = track(200, (50, 60, 1), (66, 70, 1))
    predicted = track(200, (64, 80, 1))
    found = match_boundaries(predicted, targets, 1, 15.0)["onset"]
    assert (found.errors.tolist(), found.num_missed, found.num_extra) == ([-2], 1, 0)
    # Two predictions of one annotation: the farther one is extra.
    found = match_boundaries(targets, predicted, 1, 15.0)["onset"]
    assert (found.errors.tolist(), found.num_missed, found.num_extra) == ([2], 0, 1)


def test_predictions_without_labels_beside_them_are_not_wrong():
    targets = track(200, (100, 110, 1), fill=-1)
    targets[110:150] = 0
    predicted = track(200, (20, 30, 1), (98, 110, 1), (140, 145, 1))
    found = match_boundaries(predicted, targets, 1, 5.0)
    # The annotated onset at the end of the labeled range is one all the same.
    assert found["onset"].errors.tolist() == [-2]
    assert (found["onset"].num_extra, found["offset"].num_extra) == (1, 1)


@pytest.mark.parametrize("seed", range(5))
def test_no_boundary_is_counted_twice(seed):
    rng = np.random.default_rng(seed)
    targets, predicted = (
        np.repeat(rng.integers(0, 3, 100), rng.integers(1, 9, 100))[:300] for _ in range(2)
    )
    known = np.ones(len(predicted), bool)
    for label in (1, 2):
        found = match_boundaries(predicted, targets, label, 6.0)
        for name in ("onset", "offset"):
            annotated = find_boundaries(targets, label, known)[name]
            others = find_boundaries(predicted, label, known)[name]
            match = found[name]
            assert len(match.errors) + match.num_missed == len(annotated)
            assert len(match.errors) + match.num_extra == len(others)
            assert (np.abs(match.errors) <= 6).all()


def test_nothing_is_matched_with_nothing():
    empty = track(50)
    found = match_boundaries(empty, empty, 1, 5.0)["onset"]
    assert (len(found.errors), found.num_missed, found.num_extra) == (0, 0, 0)
