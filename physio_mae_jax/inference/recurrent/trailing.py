"""Mean and standard deviation over the last columns of a signal."""

from typing import NamedTuple

import numpy as np

# Below this share of the mean square, a variance is rounding.
_FLAT = 1e-12


class Statistics(NamedTuple):
    """Mean and unbiased standard deviation, float64; a standard deviation of 0 means flat."""

    mean: np.ndarray
    std: np.ndarray


class TrailingSums(NamedTuple):
    """Sums of the values of each column, of the last columns of a signal.

    Attributes:
        sums: [K, …, 2] float64, sum of values and of squares of each column.
        valid: [K] bool, False for columns that do not count.
    """

    sums: np.ndarray
    valid: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "TrailingSums":
        """Return the sums of no column, of values that have a sum for each entry of ``shape``."""
        return cls(np.zeros((0, *shape, 2)), np.zeros(0, bool))

    def extended(self, sums: np.ndarray, valid: np.ndarray, limit: int) -> "TrailingSums":
        """Add columns and keep the last ``limit``."""
        return TrailingSums(
            np.concatenate([self.sums, sums])[-limit:],
            np.concatenate([self.valid, valid])[-limit:],
        )

    def statistics(self, values_per_column: int) -> Statistics:
        """Return the statistics of all values; 0 where no column counts."""
        kept = self.sums[self.valid]
        count = max(2, len(kept) * values_per_column)
        total, squares = np.moveaxis(kept.sum(axis=0), -1, 0)
        mean = total / count
        variance = (squares - total * mean) / (count - 1)
        is_flat = variance <= _FLAT * squares / count
        return Statistics(mean, np.where(is_flat, 0.0, np.sqrt(np.maximum(variance, 0.0))))


def column_sums(values: np.ndarray, column_samples: int) -> np.ndarray:
    """Return the sums [K, M, 2] of columns of [M, K · pt] values."""
    columns = values.astype(np.float64).reshape(len(values), -1, column_samples)
    return np.stack([columns.sum(axis=-1), np.square(columns).sum(axis=-1)], axis=-1).swapaxes(0, 1)
