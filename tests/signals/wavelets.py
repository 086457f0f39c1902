"""Ricker wavelets in float64, and the relative error of a transform."""

import numpy as np


def ricker(time: np.ndarray, scale: float) -> np.ndarray:
    """Evaluate the Ricker wavelet (models.md#banks) in float64."""
    amplitude = 2 / (np.sqrt(3 * scale) * np.pi**0.25)
    return amplitude * (1 - (time / scale) ** 2) * np.exp(-((time / scale) ** 2) / 2)


def relative_error(ours: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(ours) - reference) / np.linalg.norm(reference))
