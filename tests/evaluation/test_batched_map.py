"""Functions of batches are applied to any number of windows in batches of one size."""

import numpy as np
import pytest

from physio_mae_jax.evaluation.batched_map import map_windows

WINDOWS = [{"signal": np.full((2, 3), k), "unused": None} for k in range(5)]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_rows_are_those_of_the_windows_in_order(batch_size):
    sizes = []

    def mean(batch):
        sizes.append(len(batch["signal"]))
        return batch["signal"].mean(axis=(1, 2))

    np.testing.assert_array_equal(map_windows(mean, WINDOWS, ("signal",), batch_size), range(5))
    assert set(sizes) == {batch_size}


def test_several_rows_of_a_window_stay_together():
    rows = map_windows(lambda b: b["signal"].reshape(-1, 3), WINDOWS, ("signal",), 2)
    assert rows.shape == (5, 2, 3)
    np.testing.assert_array_equal(rows[:, 0, 0], range(5))
