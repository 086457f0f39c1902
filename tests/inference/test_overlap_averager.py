"""Averages of windows, weighted by how many windows cover a column."""

import numpy as np
import pytest

from physio_mae_jax.inference.overlap_averager import OverlapAverager
from tests.factories import tiny_model

CONFIG = tiny_model().config


@pytest.mark.parametrize("output", ["pooled", "channels", "columns", "tokens"])
def test_a_recording_without_windows_is_nan_of_the_right_shape(output):
    shapes = {
        "pooled": (CONFIG.width,),
        "channels": (2, CONFIG.width),
        "columns": (7, CONFIG.width),
        "tokens": (2, 7, CONFIG.num_rows, CONFIG.width),
    }
    mean = OverlapAverager.empty(output, 2, 7, CONFIG).mean()
    assert mean.dtype == np.float32
    assert mean.shape == shapes[output]
    assert np.isnan(mean).all()


def test_a_column_in_two_windows_is_their_mean():
    averager = OverlapAverager.empty("columns", 1, 6, CONFIG)
    weights = np.array([1.0, 1.0, 0.5, 0.5])
    for column, value, weight in ((0, 1.0, weights), (2, 3.0, weights[::-1])):
        values = np.full((5, CONFIG.width), value)  # the last column is padding
        averager.add(values, np.array([True]), column, weight)
    np.testing.assert_allclose(averager.mean()[:, 0], [1, 1, 2, 2, 3, 3])


def test_windows_in_which_no_channel_varies_do_not_count():
    averager = OverlapAverager.empty("pooled", 2, 4, CONFIG)
    averager.add(np.full(CONFIG.width, 9.0), np.array([False, False]), 0, np.ones(4))
    averager.add(np.full(CONFIG.width, 2.0), np.array([True, False]), 0, np.ones(4))
    np.testing.assert_array_equal(averager.mean(), 2.0)
    assert averager.windows.tolist() == [1, 1]
    assert averager.flat.tolist() == [1, 2]
