"""Parquet tables and EDF recordings read back what was written, and say what they cannot be."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.readers import get_reader
from physio_mae_jax.errors import DataError
from tests.data.formats.test_folder import whole, write_manifest

NAMES = ("II", "PPG", "RESP")
RATE_HZ = 250.0


@pytest.fixture
def signal() -> np.ndarray:
    """Return three channels of 500 samples, float32 [3, 500]."""
    return np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32)


def write_parquet(path: Path, signal: np.ndarray, **columns: Any) -> None:
    table = dict(zip(NAMES, signal, strict=False))
    pandas.DataFrame({**columns, **table}).to_parquet(path, row_group_size=128)


def times_s(count: int = 500) -> np.ndarray:
    return np.arange(count) / RATE_HZ


def edf_signal(values: np.ndarray, label: str, rate_hz: float, unit: str = "mV") -> Any:
    return edfio.EdfSignal(
        values.astype(float), rate_hz, label=label, physical_dimension=unit,
        physical_range=(-10, 10),
    )  # fmt: skip


def write_edf(path: Path, *signals: Any, **options: Any) -> None:
    edfio.Edf(list(signals), data_record_duration=1, **options).write(path)


def write(kind: str, folder: Path, signal: np.ndarray) -> None:
    if kind == "parquet":
        write_parquet(folder / "a.parquet", signal, time=times_s())
    else:
        parts = [edf_signal(v, n, RATE_HZ) for v, n in zip(signal, NAMES, strict=True)]
        write_edf(folder / "a.edf", *parts, annotations=[edfio.EdfAnnotation(0.5, None, "here")])


def tolerance(kind: str) -> float:
    """Return what 16 bits over 20 mV leave uncertain."""
    return 0.0 if kind == "parquet" else 20 / 65535


@pytest.mark.parametrize("kind", ["parquet", "edf"])
class TestBothFormats:
    def test_round_trip(self, kind: str, tmp_path: Path, signal: np.ndarray) -> None:
        write(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        (info,) = source.recordings
        assert (info.record_id, info.sampling_rate_hz, info.num_samples) == ("a", RATE_HZ, 500)
        assert info.channel_names == NAMES
        read = whole(source)
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, signal, rtol=0, atol=tolerance(kind))
        for start, stop in ((0, 1), (17, 311), (249, 251), (499, 500), (5, 5)):
            np.testing.assert_array_equal(source.read(0, start, stop), read[:, start:stop])

    def test_copies_in_workers_and_threads_read_the_same(
        self, kind: str, tmp_path: Path, signal: np.ndarray
    ) -> None:
        write(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        read = whole(source)
        copy = pickle.loads(pickle.dumps(source))
        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(lambda start: copy.read(0, start, start + 90), range(0, 400, 7)))
        for start, part in zip(range(0, 400, 7), parts, strict=True):
            np.testing.assert_array_equal(part, read[:, start : start + 90])

    def test_listed_channels_are_taken_and_renamed(
        self, kind: str, tmp_path: Path, signal: np.ndarray
    ) -> None:
        write(kind, tmp_path, signal)
        write_manifest(tmp_path, {"file": f"*.{kind}", "channels": {"RESP": "breath", "II": "I"}})
        source = open_folder(tmp_path)
        assert source.recordings[0].channel_names == ("breath", "I")
        np.testing.assert_allclose(whole(source), signal[[2, 0]], rtol=0, atol=tolerance(kind))
        write_manifest(tmp_path, {"file": f"*.{kind}", "channels": ["V1"]})
        with pytest.raises(DataError, match=rf"'V1' is not in .*a\.{kind}; it has II, PPG, RESP"):
            open_folder(tmp_path)
        write_manifest(tmp_path, {"file": f"*.{kind}", "axes": ["sample", "channel"]})
        with pytest.raises(DataError, match="fixes its axes"):
            open_folder(tmp_path)

    def test_contradicting_rate(self, kind: str, tmp_path: Path, signal: np.ndarray) -> None:
        write(kind, tmp_path, signal)
        write_manifest(tmp_path, {"file": f"*.{kind}"}, sampling_rate_hz=100)
        with pytest.raises(DataError, match=r"has 250 .* states 100"):
            open_folder(tmp_path)

    def test_cut_and_foreign_files(self, kind: str, tmp_path: Path, signal: np.ndarray) -> None:
        write(kind, tmp_path, signal)
        path = tmp_path / f"a.{kind}"
        data = path.read_bytes()
        for content in (data[: len(data) // 2], data[:-1], b"", b"time,II\n0,1\n", data[300:]):
            path.write_bytes(content)
            with pytest.raises(DataError, match=rf"a\.{kind} "):
                open_folder(tmp_path)

    def test_file_that_changed_after_opening(
        self, kind: str, tmp_path: Path, signal: np.ndarray
    ) -> None:
        write(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        write_parquet(tmp_path / "a.parquet", signal[:, :250], time=times_s(250))
        write_edf(tmp_path / "a.edf", *[edf_signal(v[:250], "x", RATE_HZ) for v in signal])
        with pytest.raises(DataError, match=rf"a\.{kind} changed"):
            source.read(0, 0, 5)


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


class TestEdf:
    def test_channels_of_one_rate_are_chosen(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "night.edf"
        eeg, temperature = np.ones(1000), np.ones(10)
        write_edf(
            path,
            edf_signal(eeg, "EEG Fpz-Cz", 100),
            edf_signal(eeg, "EEG Pz-Oz", 100),
            edf_signal(temperature, "Temp rectal", 1, "degC"),
        )
        (info,) = open_folder(tmp_path).recordings
        assert (info.sampling_rate_hz, info.num_samples) == (100, 1000)
        assert "TEMP from 1 to 100 Hz (night.edf)" in caplog.text
        write_manifest(tmp_path, {"file": "*.edf", "channels": ["EEG Pz-Oz"]})
        (info,) = open_folder(tmp_path).recordings
        assert (info.sampling_rate_hz, info.num_samples) == (100, 1000)
        assert info.channel_names == ("EEG_PZ_OZ",)
        write_manifest(tmp_path, {"file": "*.edf", "channels": ["Temp rectal"]})
        (info,) = open_folder(tmp_path).recordings
        assert (info.sampling_rate_hz, info.num_samples) == (1, 10)

    def test_units_that_are_not_ascii(self, tmp_path: Path) -> None:
        path = tmp_path / "a.edf"
        write_edf(path, edf_signal(np.ones(100), "II", 100, "xV"))
        path.write_bytes(path.read_bytes().replace(b"xV", "µV".encode("latin-1")))
        assert get_reader(path).probe(path, ManifestEntry(label="a", file="a.edf")).units == ("µV",)

    def test_annotations_alone_are_no_recording(self, tmp_path: Path) -> None:
        edfio.Edf([], annotations=[edfio.EdfAnnotation(0, 30, "W")]).write(tmp_path / "a.edf")
        with pytest.raises(DataError, match="has no channels, only annotations"):
            open_folder(tmp_path)

    @pytest.mark.parametrize("gap", [False, True])
    def test_interrupted_recordings(self, tmp_path: Path, gap: bool) -> None:
        path = tmp_path / "a.edf"
        write_edf(path, edf_signal(np.ones(300), "II", 100), annotations=[])
        data = path.read_bytes().replace(b"EDF+C", b"EDF+D")
        path.write_bytes(data.replace(b"+2\x14", b"+7\x14") if gap else data)
        if gap:
            with pytest.raises(DataError, match=r"was interrupted \(EDF\+D\)"):
                open_folder(tmp_path)
        else:
            assert whole(open_folder(tmp_path)).shape == (1, 300)

    @pytest.mark.parametrize(
        ("position", "field", "message"),
        [
            (236, b"-2      ", "the header states -2 data records"),
            (236, b"4       ", r"is truncated: its header states 4 data records, \d+ bytes"),
            (236, b"2       ", r"is damaged: its header states 2 data records"),
            (244, b"0       ", "its header states data records of 0 s"),
            (244, b"-1      ", "data records of '-1' seconds"),
            (244, b"1e-300  ", "sampling rate of 1e.302 Hz is not plausible"),
            (244, b"1000    ", "sampling rate of 0.1 Hz of II is not plausible"),
            (252, b"0   ", "states 0 signals"),
            (256 + 104, b"10      ", "'II' maps samples .* onto values 10 to 10"),
            (256 + 120, b"32767   ", "maps samples 32767 to 32767"),
            (256 + 112, b"9e99    ", "onto values -10 to 9e"),
            (256 + 112, b"ten     ", "onto values -10 to ten"),
        ],
    )
    def test_wrong_headers(self, tmp_path: Path, position: int, field: bytes, message: str) -> None:
        path = tmp_path / "a.edf"
        write_edf(path, edf_signal(np.ones(300), "II", 100))
        data = bytearray(path.read_bytes())
        data[position : position + len(field)] = field
        path.write_bytes(bytes(data))
        with pytest.raises(DataError, match=rf"a\.edf.*{message}"):
            open_folder(tmp_path)
