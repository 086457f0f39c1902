"""Metrics of samples and boundaries of predictions whose errors are known."""

import dataclasses

import numpy as np
import pytest

from physio_mae_jax.evaluation.segmentation import evaluate_segmentation, sample_macro_f1
from tests.evaluation.segmentations import segmentation


def test_perfect_predictions():
    found = evaluate_segmentation(segmentation(), num_resamples=20)
    assert (found.macro_f1.value, found.accuracy.value) == (1, 1)
    assert (found.macro_f1.low, found.macro_f1.high) == (1, 1)
    assert (found.num_subjects, found.num_recordings, found.num_samples) == (6, 6, 6 * 580)
    up, down = found.by_class[1:]
    assert (up.num_samples, down.num_samples) == (6 * 90, 6 * 90)
    for row in (up, down):
        for name in ("onset", "offset"):
            boundary = row.boundaries[name]
            assert (boundary.sensitivity.value, boundary.ppv.value) == (1, 1)
            assert (boundary.mean_error_ms, boundary.sd_error_ms) == (0, 0)
    assert up.boundaries["onset"].num_annotated == 6 * 3
    assert not found.by_class[0].boundaries


@pytest.mark.parametrize(("shift", "rate"), [(5, 100.0), (-4, 200.0)])
def test_errors_are_in_milliseconds(shift, rate):
    found = evaluate_segmentation(segmentation(shift=shift, rate=rate), num_resamples=20)
    for row in found.by_class[1:]:
        for boundary in row.boundaries.values():
            assert boundary.mean_error_ms == pytest.approx(shift * 1000 / rate)
            assert boundary.sensitivity.value == 1
    shared = 30 - abs(shift)
    up = found.by_class[1]
    assert up.sensitivity.value == pytest.approx(shared / 30)
    assert up.f1.value == pytest.approx(shared / 30)


def test_what_is_farther_than_the_tolerance_is_not_found():
    found = evaluate_segmentation(segmentation(shift=16), num_resamples=20)
    boundary = found.by_class[1].boundaries["onset"]
    assert (boundary.sensitivity.value, boundary.ppv.value, boundary.f1.value) == (0, 0, 0)
    assert np.isnan(boundary.mean_error_ms)
    found = evaluate_segmentation(segmentation(shift=15), num_resamples=20)
    assert found.by_class[1].boundaries["onset"].sensitivity.value == 1


def test_intervals_show_the_variation_of_subjects():
    perfect, shifted = segmentation(), segmentation(shift=10)
    mixed = perfect.predicted.copy()
    mixed[6:] = shifted.predicted[6:]
    predictions = dataclasses.replace(perfect, predicted=mixed)
    found = evaluate_segmentation(predictions, num_resamples=200)
    assert found.macro_f1.low < found.macro_f1.value < found.macro_f1.high
    again = evaluate_segmentation(predictions, num_resamples=200)
    assert again == found
    alone = evaluate_segmentation(segmentation(subjects=1), num_resamples=20)
    assert np.isnan(alone.macro_f1.low)


def test_json_has_no_nan():
    content = evaluate_segmentation(segmentation(shift=16), num_resamples=20).to_json()
    assert content["by_class"][1]["boundaries"]["onset"]["mean_error_ms"] is None
    assert np.asarray(content["confusion"]).sum() == content["num_samples"]


def test_the_metric_of_model_selection_is_that_of_the_report():
    predictions = segmentation(shift=7)
    value = sample_macro_f1(predictions.predicted, predictions.targets)
    report = evaluate_segmentation(predictions, num_resamples=20)
    assert value == pytest.approx(report.macro_f1.value)
    nothing = np.full((1, 2, 3), -1)
    assert sample_macro_f1(nothing, nothing) == -np.inf
