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
        coverage: Number of windows that cover each column of the recording [T]; at most 1 for
            windows that are not averaged.
        in_gaps: First column of each window that is not encoded because of a gap, ascending; empty
            for windows laid between gaps.
    """

    columns: np.ndarray
    num_columns: int
    coverage: np.ndarray
    in_gaps: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def grid(self) -> np.ndarray:
        """First column of every window [n], ascending, those in gaps included."""
        return np.sort(np.concatenate([self.columns, self.in_gaps]))

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
    columns = np.asarray(positions, np.int64)
    coverage = _coverage(columns, total_columns, num_columns)
    return Tiling(columns=columns, num_columns=num_columns, coverage=coverage)


def tile_regularly(
    starts: WindowStarts,
    total_columns: int,
    num_columns: int,
    hop_columns: int,
    column_samples: int,
) -> Tiling:
    """Lay windows over the whole recording at equal steps, the last one flush with its end.

    Windows that touch a gap are listed in ``in_gaps``. Without gaps the windows are those of
    ``tile``, which takes the same arguments.
    """
    high = total_columns - num_columns
    grid = np.asarray([*range(0, high, hop_columns), high], np.int64)
    fits = np.asarray([starts.contains(column * column_samples) for column in grid.tolist()], bool)
    return Tiling(
        columns=grid[fits],
        num_columns=num_columns,
        coverage=np.minimum(_coverage(grid[fits], total_columns, num_columns), 1),
        in_gaps=grid[~fits],
    )


def _coverage(columns: np.ndarray, total_columns: int, num_columns: int) -> np.ndarray:
    """Count the windows that cover each column of a recording."""
    edges = np.zeros(total_columns + 1, np.int64)
    np.add.at(edges, columns, 1)
    np.subtract.at(edges, columns + num_columns, 1)
    return np.cumsum(edges[:-1])
