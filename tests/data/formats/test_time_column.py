"""The rate by columns of times, beside a stated one or alone."""

import logging
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.time_tables import BOTH, rate_of, signals
from tests.tables import NUM_SAMPLES, times_s, write_table


@BOTH
class TestStatedRates:
    def test_times_of_another_rate(self, kind: str, tmp_path: Path) -> None:
        write_table(tmp_path, kind, signals(times_s() * 1e3, "time_ms"), sampling_rate_hz=250)
        with pytest.raises(DataError, match=r"125 .* by its column 'time_ms'.* states 250"):
            open_folder(tmp_path)

    def test_jitter_beside_a_stated_rate_is_said(
        self, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        jitter = np.sort(times_s() * 1e3 + np.random.default_rng(0).uniform(0, 4, NUM_SAMPLES))
        write_table(tmp_path, kind, signals(jitter, "sensor_time_ms"), sampling_rate_hz=125)
        with caplog.at_level(logging.WARNING):
            assert rate_of(tmp_path) == 125.0
        assert "not uniform" in caplog.text
        write_table(tmp_path, kind, signals(jitter, "sensor_time_ms"))
        (tmp_path / "manifest.json").unlink()
        with pytest.raises(DataError, match="not uniform"):
            open_folder(tmp_path)

    def test_a_pause_beside_a_stated_rate(self, kind: str, tmp_path: Path) -> None:
        times = times_s() * 1e3
        times[200:] += 60e3
        write_table(tmp_path, kind, signals(times, "sensor_time_ms"), sampling_rate_hz=125)
        with pytest.raises(DataError, match=r"states 125"):
            open_folder(tmp_path)
