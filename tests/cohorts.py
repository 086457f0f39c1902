"""Synthetic recordings and their ground truth."""

import numpy as np
from scipy import signal as scipy_signal

from physio_mae_jax.data.synthetic import SyntheticCohort

RATE_HZ = 100.0


def whole(cohort: SyntheticCohort, index: int) -> np.ndarray:
    return cohort.read(index, 0, cohort.recordings[index].num_samples)


def of_rhythm(cohort: SyntheticCohort, rhythm: str, count: int = 4) -> list[int]:
    indices = range(len(cohort.recordings))
    found = [index for index in indices if cohort.truth(index).rhythm == rhythm]
    assert len(found) >= count, f"the default cohort has too few recordings of {rhythm}"
    return found[:count]


def band_power(signal: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Mean power density in a band."""
    frequency, power = scipy_signal.welch(signal, RATE_HZ, nperseg=400)
    return float(power[(frequency >= low_hz) & (frequency <= high_hz)].mean())
