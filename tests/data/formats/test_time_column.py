"""The rate by columns of times: a unit is converted, and where there is none nothing is guessed."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.tables import NUM_SAMPLES, noise, times_s, write_table

BOTH = pytest.mark.parametrize("kind", ["csv", "parquet"])
START_S = 1_700_000_000


def rate_of(folder: Path) -> float:
    (info,) = open_folder(folder).recordings
    return info.sampling_rate_hz


def signals(times: Any, name: str = "time", channel: str = "II") -> dict[str, Any]:
    return {name: times, channel: noise()}


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


@BOTH
class TestTexts:
    @pytest.mark.parametrize("name", ["time", "datetime", "LocalTimestamp"])
    @pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "+05:30"])
    def test_dates(self, kind: str, name: str, zone: str | None, tmp_path: Path) -> None:
        # Over the change to summer time, which is none in UTC.
        start = "2024-03-31T00:59:59" if zone else "2024-03-31T12:00:00"
        stamps = pandas.date_range(start, periods=NUM_SAMPLES, freq="8ms", tz="UTC")
        stamps = stamps.tz_convert(zone) if zone else stamps.tz_localize(None)
        texts = [stamp.isoformat() for stamp in stamps]
        write_table(tmp_path, kind, signals(texts, name))
        assert rate_of(tmp_path) == 125.0
        texts[7] = texts[6]
        write_table(tmp_path, kind, signals(texts, name))
        with pytest.raises(DataError, match="not uniform"):
            open_folder(tmp_path)

    @pytest.mark.parametrize("start_s", [0, 86_398, 3_599])
    @pytest.mark.parametrize("form", ["hms", "ms", "quoted"])
    def test_clocks(self, kind: str, start_s: int, form: str, tmp_path: Path) -> None:
        seconds = start_s + times_s(rate_hz=360)
        if form == "hms":
            seconds = seconds % 86_400
        texts = []
        for second in seconds:
            minute, rest = int(second // 60), second % 60
            hour, text = minute // 60, f"{min(rest, 59.999):06.3f}"
            ms = f"{minute}:{text}"
            texts.append(
                {"hms": f"{hour:02d}:{minute % 60:02d}:{text}", "ms": ms}.get(form, f"'{ms}'")
            )
        write_table(tmp_path, kind, signals(texts, "Elapsed time"))
        assert rate_of(tmp_path) == 360.0

    @pytest.mark.parametrize("text", ["noon", "31.03.2024 12:00", "12:30", "03/31/2024"])
    def test_texts_that_are_no_times(self, kind: str, text: str, tmp_path: Path) -> None:
        write_table(tmp_path, kind, signals([text] * NUM_SAMPLES))
        with pytest.raises(DataError, match=rf"t\.{kind}.*'time'"):
            open_folder(tmp_path)

    def test_a_date_beside_a_clock(self, kind: str, tmp_path: Path) -> None:
        clock = [f"10:00:{second:06.3f}" for second in times_s()]
        write_table(tmp_path, kind, {"date": ["2024-03-31"] * NUM_SAMPLES, **signals(clock)})
        assert rate_of(tmp_path) == 125.0

    def test_a_missing_time(self, kind: str, tmp_path: Path) -> None:
        texts: list[str | None] = [f"10:00:{second:06.3f}" for second in times_s()]
        for row in (5, NUM_SAMPLES - 1):
            gap = [*texts[:row], None, *texts[row + 1 :]]
            write_table(tmp_path, kind, signals(gap))
            with pytest.raises(
                DataError, match=r"'time' (has missing|has a value of another kind)"
            ):
                open_folder(tmp_path)
