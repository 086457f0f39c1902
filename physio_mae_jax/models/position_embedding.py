"""Resizing of a learned position table to a window of another length."""

import numpy as np

# Constant of the cubic convolution (Keys 1981) in PyTorch's "bicubic" mode.
_CUBIC = -0.75


def resize_columns(table: np.ndarray, num_columns: int) -> np.ndarray:
    """Interpolate a position table along time, as the original does (original_weights.md#import).

    Cubic convolution between the centers of columns, the ends repeated; frequency rows are
    unchanged. The table is interpolated over the window: column i of n represents the same
    fraction of a window as before, not the same time.

    Args:
        table: Position table [W, …], one entry per column.
        num_columns: Requested number of columns.

    Returns:
        Table [num_columns, …] of the same type; the input itself if the length is unchanged.
    """
    old = len(table)
    if old == num_columns:
        return table
    center = (np.arange(num_columns) + 0.5) * old / num_columns - 0.5
    first = np.floor(center).astype(int)
    matrix = np.zeros((num_columns, old))
    for tap in range(-1, 3):
        neighbor = np.clip(first + tap, 0, old - 1)
        np.add.at(matrix, (np.arange(num_columns), neighbor), _cubic(center - first - tap))
    return np.tensordot(matrix, table, axes=1).astype(table.dtype)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return the weight of a neighbor at ``distance`` columns."""
    x = np.abs(distance)
    near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x**2 + 1
    far = ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
