"""Positions of windows over a recording."""

import numpy as np

from physio_mae_jax.data.window_starts import WindowStarts
from physio_mae_jax.inference.tiling import tile


def test_windows_cover_every_stretch_and_count_alike():
    starts = WindowStarts(np.array([0, 1003]), np.array([301, 598]))
    tiling = tile(starts, total_columns=100, num_columns=20, hop_columns=10, column_samples=20)
    assert tiling.columns.tolist() == [0, 10, 15, 51, 61, 71, 80]
    counted = np.zeros(100)
    for column in tiling.columns:
        counted[column : column + 20] += tiling.weights(column)
    np.testing.assert_allclose(counted[tiling.coverage > 0], 1)
