"""Predictions of samples whose errors are known."""

import numpy as np

from physio_mae_jax.evaluation.segmentation_predictions import SegmentationPredictions


def segmentation(subjects=6, shift=0, rate=100.0):
    """Return two windows of 300 samples of each subject: pulses of 30 samples each second.

    Those predicted are ``shift`` samples late. The last 20 samples of a recording are not labeled,
    and the second channel is absent.
    """
    whole = np.zeros((2, 600), np.int8)
    for second in range(6):
        whole[:, second * 100 + 30 : second * 100 + 60] = 1 + second % 2
    predicted = np.roll(whole, shift, axis=1)
    predicted[1] = -1
    targets = whole.copy()
    targets[:, 580:] = -1
    names = np.asarray([f"p{i}" for i in range(subjects)])

    def windows(values):
        return np.stack([values[:, :300], values[:, 300:]] * subjects)

    return SegmentationPredictions(
        classes=("none", "up", "down"),
        sampling_rate_hz=rate,
        recordings=np.repeat([f"{name}_0" for name in names], 2),
        subjects=np.repeat(names, 2),
        starts=np.asarray([0, 300] * subjects),
        channels=np.asarray([["II", "PPG"]] * 2 * subjects),
        predicted=windows(predicted),
        targets=windows(targets),
    )
