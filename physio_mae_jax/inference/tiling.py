"""Which windows of a recording are encoded, and how much each of them counts."""

import dataclasses

import numpy as np

from physio_mae_jax.data.window_starts import Starts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiling:
    """Windows over a recording, each beginning at a whole column of it.

    Attributes:
        columns: [n] first column of each window, ascending.
        num_columns: W of a window.
        coverage: [T] windows that hold each of the recording's columns; 0 where none does.
    """

    columns: np.ndarray
    num_columns: int
    coverage: np.ndarray

    def weights(self, first_column: int) -> np.ndarray:
        """Return what each column [W] of a window counts: one over the windows that hold it."""
        return 1.0 / self.coverage[first_column : first_column + self.num_columns]


def tile(
    starts: Starts, total_columns: int, num_columns: int, hop_columns: int, column_samples: int
) -> Tiling:
    """Lay windows over every stretch between the gaps, the last one flush with its end.

    Args:
        starts: where windows may begin, in samples at the model's rate.
        total_columns: T of the recording.
        num_columns: W of a window.
        hop_columns: from one window to the next; less than W makes them overlap.
        column_samples: of a column.
    """
    places: list[int] = []
    for first, count in zip(starts.first.tolist(), starts.count.tolist(), strict=True):
        low, high = -(-first // column_samples), (first + count - 1) // column_samples
        if high >= low:
            places += [*range(low, high, hop_columns), high]
    coverage = np.zeros(total_columns, np.int64)
    for place in places:
        coverage[place : place + num_columns] += 1
    return Tiling(columns=np.asarray(places, np.int64), num_columns=num_columns, coverage=coverage)
