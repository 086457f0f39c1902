"""A unit of time is converted, and where there is none nothing is guessed."""

from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.time_tables import BOTH, rate_of, signals
from tests.tables import NUM_SAMPLES, noise, times_s, write_table

START_S = 1_700_000_000


@BOTH
class TestUnits:
    @pytest.mark.parametrize(
        ("name", "unit_s"),
        [
            *(("time [s]", 1.0), ("seconds_elapsed", 1.0), ("sec", 1.0), ("elapsed_s", 1.0)),
            *(("time_ms", 1e-3), ("Time (ms)", 1e-3), ("millis", 1e-3), ("t [us]", 1e-6)),
            *(("sensor timestamp [ns]", 1e-9), ("minutes", 60.0), ("Time (min)", 60.0)),
            *(("elapsed_hours", 3600.0), ("time_h", 3600.0), ("time (days)", 86400.0)),
        ],
    )
    @pytest.mark.parametrize("rate_hz", [125.0, 1000.0, 31.25])
    def test_units_in_names_are_converted(
        self, kind: str, name: str, unit_s: float, rate_hz: float, tmp_path: Path
    ) -> None:
        write_table(tmp_path, kind, signals(times_s(rate_hz=rate_hz) / unit_s, name))
        assert rate_of(tmp_path) == pytest.approx(rate_hz, rel=1e-6)

    @pytest.mark.parametrize(("unit", "ticks"), [("s", 1), ("ms", 10**3), ("us", 10**6)])
    def test_epochs_are_known_by_their_size(
        self, kind: str, unit: str, ticks: int, tmp_path: Path
    ) -> None:
        times = START_S * ticks + np.arange(NUM_SAMPLES) * ticks // (1 if unit == "s" else 125)
        write_table(tmp_path, kind, signals(times, "unix_timestamp", "EDA"))
        assert rate_of(tmp_path) == (1.0 if unit == "s" else 125.0)

    def test_epochs_in_nanoseconds_and_with_fractions(self, kind: str, tmp_path: Path) -> None:
        ticks = START_S * 10**9 + np.arange(NUM_SAMPLES) * 10**9 // 360
        write_table(tmp_path, kind, signals(ticks, "ts"))
        assert rate_of(tmp_path) == pytest.approx(360.0)
        write_table(tmp_path, kind, signals(START_S + np.round(times_s(rate_hz=360), 3), "T"))
        assert rate_of(tmp_path) == pytest.approx(360.0)

    @pytest.mark.parametrize("step", [1, 2, 4, 8])
    @pytest.mark.parametrize("name", ["time", "t", "Elapsed time", "ts"])
    def test_whole_steps_without_a_unit_are_asked(
        self, kind: str, step: int, name: str, tmp_path: Path
    ) -> None:
        times = np.arange(NUM_SAMPLES) * step
        write_table(tmp_path, kind, signals(times, name))
        with pytest.raises(DataError) as raised:
            open_folder(tmp_path)
        for part in (f"{1 / step:g} Hz as seconds", f"{1000 / step:g} Hz as milliseconds",
                     f"'{name}'", "'time_ms'", "'sampling_rate_hz'", "t." + kind):  # fmt: skip
            assert part in str(raised.value)
        entry = draft_manifest(tmp_path)["recordings"][0]
        assert entry["sampling_rate_hz"] == "?"
        write_table(tmp_path, kind, signals(times, name), sampling_rate_hz=1000 / step)
        assert rate_of(tmp_path) == 1000 / step
        if step > 1:
            write_table(tmp_path, kind, signals(times, name), sampling_rate_hz=333)
            with pytest.raises(DataError, match=r"states 333"):
                open_folder(tmp_path)

    @pytest.mark.parametrize(("unit_s", "rate_hz"), [(60, 125), (60, 100), (60, 64), (60, 25)])
    def test_minutes_without_a_unit_are_asked(
        self, kind: str, unit_s: float, rate_hz: float, tmp_path: Path
    ) -> None:
        times = np.round(times_s(rate_hz=rate_hz) / unit_s, 8)
        write_table(tmp_path, kind, signals(times))
        with pytest.raises(
            DataError, match=rf"{rate_hz * unit_s:g} Hz as seconds, {rate_hz} Hz as"
        ):
            open_folder(tmp_path)
        write_table(tmp_path, kind, signals(times), sampling_rate_hz=rate_hz)
        assert rate_of(tmp_path) == rate_hz

    @pytest.mark.parametrize(
        ("rate_hz", "unit_s"), [(125, 3600), (1000, 86400), (256, 1e-3), (360, 1e-3), (2048, 1e-3)]
    )
    def test_implausible_rates_are_rejected_with_all_readings(
        self, kind: str, rate_hz: float, unit_s: float, tmp_path: Path
    ) -> None:
        write_table(tmp_path, kind, signals(times_s(rate_hz=rate_hz) / unit_s))
        reading = rf"not plausible.* {rate_hz} Hz as (milliseconds|hours|days)"
        with pytest.raises(DataError, match=rf"'time', read as seconds: .*{reading}"):
            open_folder(tmp_path)

    @pytest.mark.parametrize("rate_hz", [125, 173.61, 360, 500, 700, 1000, 2000, 4096, 10_000])
    def test_usual_rates_in_seconds_are_no_question(
        self, kind: str, rate_hz: float, tmp_path: Path
    ) -> None:
        write_table(tmp_path, kind, signals(times_s(rate_hz=rate_hz)))
        assert rate_of(tmp_path) == pytest.approx(rate_hz, rel=1e-6)

    @pytest.mark.parametrize("rate_hz", [1, 4])
    def test_slow_signals_by_minutes_are_asked(
        self, kind: str, rate_hz: float, tmp_path: Path
    ) -> None:
        write_table(tmp_path, kind, signals(times_s(rate_hz=rate_hz) / 60, channel="EDA"))
        with pytest.raises(DataError, match=f"{rate_hz} Hz as minutes"):
            open_folder(tmp_path)
        write_table(tmp_path, kind, signals(times_s(rate_hz=4), channel="EDA"))
        assert rate_of(tmp_path) == 4.0

    def test_a_known_unit_comes_before_none(self, kind: str, tmp_path: Path) -> None:
        columns = {"t": np.arange(NUM_SAMPLES), "time_ms": times_s() * 1e3, "II": noise()}
        write_table(tmp_path, kind, columns)
        assert rate_of(tmp_path) == 125.0

    def test_two_columns_of_different_rates(self, kind: str, tmp_path: Path) -> None:
        write_table(tmp_path, kind, {"time_s": times_s(), **signals(times_s(), "time_ms")})
        with pytest.raises(
            DataError, match=r"125 .* by its column 'time_s' and 125000 by|plausible"
        ):
            open_folder(tmp_path)
        write_table(tmp_path, kind, {"time_s": times_s(), **signals(times_s() * 2e3, "time_ms")})
        with pytest.raises(
            DataError, match=r"125 .* by its column 'time_s' and 62\.5 by 'time_ms'"
        ):
            open_folder(tmp_path)
