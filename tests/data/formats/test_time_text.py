"""Times that are written as text."""

from pathlib import Path

import pandas
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.time_tables import BOTH, rate_of, signals
from tests.tables import NUM_SAMPLES, times_s, write_table


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
