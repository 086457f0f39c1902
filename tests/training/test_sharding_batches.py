"""Batches divide over devices and accumulation."""

import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.training.sharding import check_batch_size


def test_batch_size_must_divide_over_devices_and_accumulation():
    check_batch_size(16, 2, 8)
    with pytest.raises(ConfigError, match=r"batch_size=12 .* 8 devices .* for example 16"):
        check_batch_size(12, 1, 8)
