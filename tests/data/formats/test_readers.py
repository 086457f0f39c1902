"""Parquet tables and EDF recordings read back what was written."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import edfio
import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.format_files import (
    NAMES,
    RATE_HZ,
    edf_signal,
    times_s,
    write_edf,
    write_parquet,
)
from tests.folders import whole, write_manifest


@pytest.fixture
def signal() -> np.ndarray:
    """Return three channels of 500 samples, float32 [3, 500]."""
    return np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32)


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
