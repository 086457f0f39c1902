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
