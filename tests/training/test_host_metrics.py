"""Processes with late data, and the order of the data."""

import numpy as np

from physio_mae_jax.training.host_metrics import find_straggler, order_hash


def test_process_with_late_data_is_reported():
    assert not find_straggler([0.5, 0.5, 0.5], [0.01, 0.01, 0.02])
    assert not find_straggler([0.5, 0.5, 0.5], [0.4, 0.41, 0.42])  # all wait: no one's fault
    assert not find_straggler([0.5], [0.4])
    assert "process 1 lags: 0.400 s of a step of 0.500 s" in find_straggler(
        [0.5] * 3, [0.01, 0.4, 0.02]
    )


def test_the_order_of_the_data_has_one_hash_however_it_is_divided():
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 50, 8) for name in ("recording", "start")}
    parts = [{name: values[i : i + 4] for name, values in batch.items()} for i in (0, 4)]
    whole = order_hash(batch, 0)
    assert (order_hash(parts[0], 0) + order_hash(parts[1], 4)) % 2**64 == whole
    swapped = {name: values[::-1] for name, values in batch.items()}
    assert order_hash(swapped, 0) != whole
