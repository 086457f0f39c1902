"""Converting labels with a constant rate to intervals of samples."""

import numpy as np

from physio_mae_jax.preparation.recording import Annotations


def label_annotations(
    labels: np.ndarray,
    *,
    label_rate_hz: float,
    sampling_rate_hz: float,
    num_samples: int,
    offset_s: float = 0.0,
    excluded: int | None = None,
) -> Annotations:
    """Create one annotation per run of equal labels.

    Args:
        labels: Labels [T], integers.
        label_rate_hz: Rate of the labels in Hz.
        sampling_rate_hz: Sampling rate of the recording in Hz.
        num_samples: Length of the recording in samples; intervals are clipped to it.
        offset_s: Time of the first label from the first sample, in seconds.
        excluded: Label value without annotations.
    """
    if not len(labels):
        return Annotations.from_triples([])
    edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
    seconds = edges / label_rate_hz + offset_s
    samples = np.clip(np.round(seconds * sampling_rate_hz), 0, num_samples).astype(int)
    return Annotations.from_triples(
        [
            (start, stop, label)
            for start, stop, label in zip(
                samples[:-1].tolist(),
                samples[1:].tolist(),
                labels[edges[:-1]].tolist(),
                strict=True,
            )
            if start < stop and label != excluded
        ]
    )
