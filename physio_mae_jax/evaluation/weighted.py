"""Weighted sums and means over instances; ``weights`` [..., U] as in ``metrics``."""

import numpy as np


def ratio(top: np.ndarray, bottom: np.ndarray, undefined: float = np.nan) -> np.ndarray:
    """Divide; ``undefined`` if the divisor is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, np.float64), bottom)
    return np.divide(top, bottom, out=np.full(top.shape, undefined), where=bottom != 0)[()]


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average over instances, [U] -> [...] or [U, Y] -> [..., Y]; NaN if all weights are 0."""
    total = weights.sum(axis=-1)
    return ratio(weights @ values, total[..., None] if values.ndim > 1 else total)


def running_sum(weights: np.ndarray) -> np.ndarray:
    """Return the cumulative weight before each instance, and the total, [..., U + 1]."""
    sums = np.zeros((*weights.shape[:-1], weights.shape[-1] + 1))
    np.cumsum(weights, axis=-1, out=sums[..., 1:])
    return sums


def dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum the products over instances, [..., U] and [..., U] -> [...]."""
    return np.einsum("...u,...u->...", first, second)


def descending(scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the indices of the chosen instances, the highest score first."""
    instances = np.flatnonzero(chosen)
    return instances[np.argsort(-scores[instances], kind="stable")]
