"""Runs of labels become intervals."""

import numpy as np

from physio_mae_jax.preparation.layouts.interval_runs import label_annotations
from tests.preparation.layouts.wearables import marks_of


def test_runs_of_labels_become_intervals_within_the_recording():
    labels = np.array([0, 0, 1, 1, 1, -1, 0])
    options = {"label_rate_hz": 1.0, "sampling_rate_hz": 64.0, "excluded": -1}
    annotations = label_annotations(labels, num_samples=1000, **options)
    assert marks_of(annotations) == [(0, 128, 0), (128, 320, 1), (384, 448, 0)]
    annotations = label_annotations(labels, num_samples=200, offset_s=-1.5, **options)
    assert marks_of(annotations) == [(0, 32, 0), (32, 200, 1)]
    assert marks_of(label_annotations(labels[:0], num_samples=200, **options)) == []
