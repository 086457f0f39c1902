"""Metrics of regressions from weighted instances; shapes as in ``metrics``.

``predicted`` and ``true`` are [U], giving [...], or [U, Y] of several targets, giving [..., Y], in
the units of the targets.
"""

import numpy as np

from physio_mae_jax.evaluation.weighted import mean, ratio

# A variance of at most this fraction of the mean square is due to rounding errors.
_ROUNDING = 1e-12
_TWO_SIDED_95 = 1.959963984540054


def mean_absolute_error(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of |predicted - true|."""
    return mean(np.abs(predicted - true), weights)


def root_mean_squared_error(
    predicted: np.ndarray, true: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the root of the mean of (predicted - true)²."""
    return np.sqrt(mean((predicted - true) ** 2, weights))


def r2(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the coefficient of determination R²; NaN if the truth is constant.

    The mean is that of the evaluated instances, which the model does not know, so 0 is a strong
    constant baseline.
    """
    error = mean((predicted - true) ** 2, weights)
    return 1 - ratio(error, _variance(true, weights))


def pearson_r(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the linear correlation; NaN if either is constant."""
    p, t = _center(predicted), _center(true)
    covariance = mean(p * t, weights) - mean(p, weights) * mean(t, weights)
    product = _variance(predicted, weights) * _variance(true, weights)
    return np.clip(ratio(covariance, np.sqrt(product)), -1, 1)[()]


def bias(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of predicted - true."""
    return mean(predicted - true, weights)


def limits_of_agreement(
    predicted: np.ndarray, true: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return bias ∓ 1.96 standard deviations of the error (Bland and Altman 1986).

    Instances of the same subject are treated as independent. NaN for a single instance.
    """
    total = weights.sum(axis=-1)
    total = total[..., None] if predicted.ndim > 1 else total
    variance = _variance(predicted - true, weights, constant=0.0)
    spread = np.sqrt(ratio(variance * total, np.maximum(total - 1, 0)))
    middle = bias(predicted, true, weights)
    return middle - _TWO_SIDED_95 * spread, middle + _TWO_SIDED_95 * spread


def _center(values: np.ndarray) -> np.ndarray:
    """Subtract the unweighted mean, which reduces cancellation."""
    return values - values.mean(axis=0)


def _variance(values: np.ndarray, weights: np.ndarray, constant: float = np.nan) -> np.ndarray:
    """Return the variance, or ``constant`` where it is due to rounding errors."""
    centered = _center(values)
    square = mean(centered**2, weights)
    variance = square - mean(centered, weights) ** 2
    return np.where(variance > _ROUNDING * square, variance, constant)[()]
