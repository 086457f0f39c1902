"""Position of a peak between samples."""

import numpy as np


def peak_shift(before: np.ndarray, middle: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the distance from samples to the vertex of the parabola through their neighbors.

    Args:
        before, middle, after: [n] values of three adjacent samples; the middle one is the largest.

    Returns:
        [n] distance in samples, −0.5 to 0.5; 0 where the three have no maximum.
    """
    bend = before - 2 * middle + after
    vertex = 0.5 * (before - after) / np.where(bend < 0, bend, -np.inf)
    return np.asarray(np.clip(vertex, -0.5, 0.5))
