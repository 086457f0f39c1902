"""The rate of uniform times that are rounded."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.uniform_times import uniform_rate_hz
from physio_mae_jax.errors import DataError


@pytest.mark.parametrize("form", ["{:.3f}", "{:.5g}", "{!r}"])
@pytest.mark.parametrize("rate_hz", [125.0, 360.0, 31.25])
def test_rate_is_found_through_rounded_times(rate_hz: float, form: str) -> None:
    times_s = np.array([float(form.format(i / rate_hz)) for i in range(20_000)])
    assert uniform_rate_hz(times_s, "it") == pytest.approx(rate_hz, rel=1e-4)
    with pytest.raises(DataError, match="not uniform"):
        uniform_rate_hz(np.delete(times_s, 3000), "it")


def test_coarse_times_need_a_stated_rate() -> None:
    # 99 Hz with two decimals reads like 100 Hz that lost a sample.
    times_s = np.round(np.arange(100) / 99, 2)
    with pytest.raises(DataError, match="state 'sampling_rate_hz'"):
        uniform_rate_hz(times_s, "it")
    assert uniform_rate_hz(times_s, "it", 99.0) == 99.0
    with pytest.raises(DataError, match="not uniform"):
        uniform_rate_hz(times_s, "it", 98.0)


@pytest.mark.parametrize("lost", [1, 40_000, 99_998])
@pytest.mark.parametrize("unit_s", [1.0, 1e-3])
def test_a_long_table_of_exact_times_is_compared_with_its_grid_to_the_end(
    lost: int, unit_s: float
) -> None:
    times = 1.6e9 + np.arange(100_000) / (250 * unit_s)
    assert uniform_rate_hz(times, "it", unit_s=unit_s) == 250.0
    assert uniform_rate_hz(times, "it", 250.0, unit_s=unit_s) == 250.0
    with pytest.raises(DataError, match="not uniform"):
        uniform_rate_hz(np.delete(times, lost), "it", unit_s=unit_s)
