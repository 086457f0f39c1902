"""Labels given at a steady rate, as intervals of the samples of a recording."""

import numpy as np

from physio_mae_jax.preparation.recording import Annotations


def label_annotations(
    labels: np.ndarray,
    *,
    label_rate_hz: float,
    sampling_rate_hz: float,
    num_samples: int,
    offset_s: float = 0.0,
    left_out: int | None = None,
) -> Annotations:
    """Make a mark of each run of equal labels.

    Args:
        labels: [T] integers.
        label_rate_hz: labels a second.
        sampling_rate_hz: samples a second of the recording.
        num_samples: of the recording; what reaches beyond is cut off.
        offset_s: time of the first label, from the first sample.
        left_out: a label that makes no marks.
    """
    if not len(labels):
        return Annotations.of([])
    edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
    seconds = edges / label_rate_hz + offset_s
    samples = np.clip(np.round(seconds * sampling_rate_hz), 0, num_samples).astype(int)
    return Annotations.of(
        [
            (start, stop, label)
            for start, stop, label in zip(
                samples[:-1].tolist(),
                samples[1:].tolist(),
                labels[edges[:-1]].tolist(),
                strict=True,
            )
            if start < stop and label != left_out
        ]
    )
