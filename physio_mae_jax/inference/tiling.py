"""Positions of the encoded windows of a recording, and the weights of their columns."""

import dataclasses

import numpy as np

from physio_mae_jax.data.window_starts import WindowStarts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiling:
    """Windows over a recording, each starting at a whole column.

    Attributes:
        columns: First column of each window [n], ascending.
        num_columns: Columns W of a window.
        coverage: Number of windows that cover each column of the recording [T].
    """

    columns: np.ndarray
    num_columns: int
    coverage: np.ndarray

    def weights(self, first_column: int) -> np.ndarray:
        """Return the weight of each column [W] of a window: one over the windows that cover it."""
        return 1.0 / self.coverage[first_column : first_column + self.num_columns]


def tile(
    starts: WindowStarts,
    total_columns: int,
    num_columns: int,
    hop_columns: int,
    column_samples: int,
) -> Tiling:
    """Lay windows over every interval between gaps, the last one flush with its end.

    Args:
        starts: Valid start positions of windows, in samples at the model's rate.
        total_columns: Columns T of the recording.
        num_columns: Columns W of a window.
        hop_columns: Hop between windows, columns; less than W makes them overlap.
        column_samples: Samples per column.
    """
    positions: list[int] = []
    for first, count in zip(starts.first.tolist(), starts.count.tolist(), strict=True):
        low, high = -(-first // column_samples), (first + count - 1) // column_samples
        if high >= low:
            positions += [*range(low, high, hop_columns), high]
    coverage = np.zeros(total_columns, np.int64)
    for position in positions:
        coverage[position : position + num_columns] += 1
    return Tiling(
        columns=np.asarray(positions, np.int64), num_columns=num_columns, coverage=coverage
    )
