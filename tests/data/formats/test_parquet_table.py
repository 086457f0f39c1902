"""Parquet tables: their rate, their columns and their missing samples."""

from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from physio_mae_jax.data.formats import parquet_table, readers
from physio_mae_jax.data.formats.file_facts import FileRecords
from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import DataError
from tests.data.formats.format_files import times_s, write_parquet
from tests.folders import whole, write_manifest


def part_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Parts in the order they are read in."""
    parts, reader = [], readers.READERS[".parquet"]
    load_part = reader.load_part
    assert load_part is not None

    def counted(records: FileRecords, part: int) -> np.ndarray:
        parts.append(part)
        return load_part(records, part)

    monkeypatch.setitem(readers.READERS, ".parquet", reader._replace(load_part=counted))
    return parts


class TestRowGroups:
    def test_a_window_reads_its_row_groups_alone_and_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parquet_table, "_PART_ROWS", 256)
        signal = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
        write_parquet(tmp_path / "a.parquet", signal, time=times_s(1000))  # groups of 128
        parts = part_reads(monkeypatch)
        cache = SampleCache(2**20)
        source = ConcatSource([open_folder(tmp_path, cache=cache)], [[0]], cache)
        for start, stop, read in [
            (300, 400, [1]),
            (256, 512, []),
            (500, 520, [2]),
            (0, 1000, [0, 3]),
            (999, 1000, []),
            (511, 513, []),
        ]:
            parts.clear()
            found = source.read(0, start, stop)
            np.testing.assert_array_equal(found, signal[:, start:stop])
            assert (found.dtype, parts) == (np.float32, read)
        assert cache.used_bytes == signal.nbytes  # and not once more as blocks

    @pytest.mark.parametrize("rows", [1, 7, 300, 1000, 5000])
    def test_every_span_is_that_of_the_table(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
    ) -> None:
        monkeypatch.setattr(parquet_table, "_PART_ROWS", 40)
        signal = np.random.default_rng(rows).normal(size=(3, 1000))
        table = dict(zip(("II", "PPG", "RESP"), signal, strict=True)) | {"time": times_s(1000)}
        pyarrow.parquet.write_table(
            pyarrow.table(table), tmp_path / "a.parquet", row_group_size=rows
        )
        write_manifest(tmp_path, {"file": "a.parquet", "channels": ["RESP", "II"]})
        source = open_folder(tmp_path)
        wanted = signal[[2, 0]].astype(np.float32)
        np.testing.assert_array_equal(whole(source), wanted)
        for start in range(0, 1000, 37):
            np.testing.assert_array_equal(
                source.read(0, start, min(start + 90, 1000)), wanted[:, start : start + 90]
            )

    def test_a_file_that_was_written_again_in_other_groups_is_rejected(
        self, tmp_path: Path
    ) -> None:
        table = pyarrow.table({"II": np.ones(600_000), "time": np.arange(600_000) / 250})
        path = tmp_path / "a.parquet"
        pyarrow.parquet.write_table(table, path, row_group_size=300_000)
        source = open_folder(tmp_path)
        pyarrow.parquet.write_table(table, path, row_group_size=400_000)
        with pytest.raises(DataError, match=r"a\.parquet changed: its rows are grouped"):
            source.read(0, 0, 10)


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
