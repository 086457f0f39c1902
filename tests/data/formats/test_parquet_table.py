"""Parquet tables: their rate, their columns and their missing samples."""

from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.format_files import times_s, write_parquet
from tests.folders import whole, write_manifest


class TestParquet:
    @pytest.mark.parametrize("resolution", ["s", "ms", "us", "ns"])
    def test_timestamps_give_the_rate(self, tmp_path: Path, resolution: str) -> None:
        # Timestamps have a unit, so that whole seconds are no question.
        rate_hz, name = (1, "EDA") if resolution == "s" else (125, "II")
        times = np.datetime64("2024-03-01T12:00:00", "ns") + (
            np.arange(2000) * 10**9 // rate_hz
        ).astype("timedelta64[ns]")
        stamps = times.astype(f"M8[{resolution}]")
        durations = (times - times[0]).astype(f"m8[{resolution}]")
        for file, values in (("a", stamps), ("b", durations)):
            frame = pandas.DataFrame({"time": values, name: np.ones(2000)})
            frame.to_parquet(tmp_path / f"{file}.parquet")
        for info in open_folder(tmp_path).recordings:
            assert info.sampling_rate_hz == rate_hz
            assert info.channel_names == (name,)

    def test_a_lost_sample_is_found_at_its_row(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", np.ones((1, 499)), time=np.delete(times_s(), 200))
        with pytest.raises(DataError, match=r"a\.parquet, row \d+: the time column is not uniform"):
            open_folder(tmp_path)
        times = times_s()
        times[7] = np.nan
        write_parquet(tmp_path / "a.parquet", np.ones((1, 500)), time=times)
        with pytest.raises(DataError, match=r"row 7: the time column has no number"):
            open_folder(tmp_path)

    def test_missing_samples_are_nan_and_an_unnamed_index_is_no_channel(
        self, tmp_path: Path
    ) -> None:
        frame = pandas.DataFrame(
            {"time": [0.0, 0.05, 0.1], "II": pandas.array([1, None, 3], dtype="Int64")},
            index=[4, 7, 9],
        )
        frame.to_parquet(tmp_path / "a.parquet")
        source = open_folder(tmp_path)
        assert source.recordings[0].sampling_rate_hz == 20.0
        np.testing.assert_array_equal(whole(source), np.array([[1, np.nan, 3]], np.float32))

    def test_columns_of_text_are_excluded_by_name(self, tmp_path: Path) -> None:
        write_parquet(
            tmp_path / "a.parquet", np.ones((1, 3)), time=times_s(3), note=["x", "y", "z"]
        )
        with pytest.raises(DataError, match=r"'channels' \('note' holds .*string\)"):
            open_folder(tmp_path)
        write_manifest(tmp_path, {"file": "*.parquet", "channels": ["II"]})
        assert whole(open_folder(tmp_path)).shape == (1, 3)

    def test_a_name_that_begins_another_is_not_mistaken(self, tmp_path: Path) -> None:
        table = {"ecg.raw": [9.0, 9.0], "ecg": [1.0, 2.0], "time": [0.0, 0.1]}
        pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
        write_manifest(tmp_path, {"file": "a.parquet", "channels": ["ecg"]})
        np.testing.assert_array_equal(whole(open_folder(tmp_path)), [[1, 2]])

    def test_two_columns_of_one_name(self, tmp_path: Path) -> None:
        table = pyarrow.table([[0.0, 1.0]] * 3, names=["time", "a", "a"])
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(DataError, match="2 columns named 'a'"):
            open_folder(tmp_path)

    def test_without_a_rate_a_manifest_is_drafted(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", np.ones((2, 9)))
        with pytest.raises(DataError, match=r"a\.parquet does not say its rate"):
            open_folder(tmp_path)
        assert draft_manifest(tmp_path) == {
            "recordings": [{"file": "a.parquet", "sampling_rate_hz": "?"}]
        }
