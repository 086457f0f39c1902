"""Similarity of a pulse and an ECG by the times of their beats, without learning.

R peaks and the steepest rises of the pulse are drawn as trains of narrow pulses. The similarity of
two windows is the largest correlation of their trains over the physiological pulse arrival times.
"""

from collections.abc import Sequence

import numpy as np

from physio_mae_jax.signals.beat_times import beat_train, pulse_rise_times, r_peak_times
from physio_mae_jax.signals.channels import is_ecg
from physio_mae_jax.signals.lagged_similarity import best_pairwise, lag_steps
from physio_mae_jax.signals.pulse_alignment import ARRIVAL_SECONDS

PULSES = ("PPG", "ABP")
PEAKS_NOTE = (
    "no learning; R peaks and steepest rises of the pulse, by the best correlation of their times "
    f"over lags of {ARRIVAL_SECONDS[0]:.2f} to {ARRIVAL_SECONDS[1]:.2f} s."
)
_STEP_SECONDS = 0.01


def is_pulse_and_ecg(channels: Sequence[str]) -> bool:
    """Return whether the first of two channels is a pulse, and the second an ECG."""
    return channels[0] in PULSES and is_ecg(channels[1])


def beat_similarity(
    signal: np.ndarray, channels: Sequence[str], sampling_rate_hz: float
) -> np.ndarray | None:
    """Compare every window of the first channel with every window of the second.

    Args:
        signal: [n, 2, L] windows of two channels.
        channels: Their canonical names.
        sampling_rate_hz: Rate in Hz.

    Returns:
        Similarities [n, n] in [-1, 1], rows of the first channel; None if the channels are not a
        pulse and an ECG.
    """
    pulse = next((i for i, name in enumerate(channels) if name in PULSES), None)
    ecg = next((i for i, name in enumerate(channels) if is_ecg(name)), None)
    if pulse is None or ecg is None:
        return None
    steps = round(signal.shape[2] / sampling_rate_hz / _STEP_SECONDS)
    trains = [
        np.stack([beat_train(find(row, sampling_rate_hz), steps, _STEP_SECONDS) for row in rows])
        for find, rows in ((pulse_rise_times, signal[:, pulse]), (r_peak_times, signal[:, ecg]))
    ]
    lags = lag_steps(ARRIVAL_SECONDS, _STEP_SECONDS)
    similarity = best_pairwise(trains[0][..., None], trains[1][..., None], lags)
    return similarity if pulse == 0 else similarity.T
