"""Folders of recordings read back what was written, whatever their format."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import NAMES, whole, write_format


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "wfdb"])
class TestEveryFormat:
    def test_round_trip(self, kind: str, tmp_path: Path, signal: np.ndarray) -> None:
        held = write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        (info,) = source.recordings
        assert (info.record_id, info.sampling_rate_hz, info.num_samples) == ("a", 250.0, 400)
        assert info.channel_names == NAMES
        assert whole(source).dtype == np.float32
        np.testing.assert_array_equal(whole(source), held)

    def test_a_stretch_is_a_slice_of_the_whole(
        self, kind: str, tmp_path: Path, signal: np.ndarray
    ) -> None:
        held = write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        for start, stop in ((0, 1), (17, 211), (399, 400), (5, 5)):
            np.testing.assert_array_equal(source.read(0, start, stop), held[:, start:stop])
        for start, stop in ((-1, 5), (0, 401), (9, 3)):
            with pytest.raises(DataError, match=r"recording a .* has 400"):
                source.read(0, start, stop)

    def test_pickled_copy_reads_the_same(
        self, kind: str, tmp_path: Path, signal: np.ndarray
    ) -> None:
        write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        expected = whole(source)
        data = pickle.dumps(source)
        # Arrays held in memory do not travel to the workers.
        assert len(data) < signal.nbytes
        np.testing.assert_array_equal(whole(pickle.loads(data)), expected)

    def test_threads_read_the_same(self, kind: str, tmp_path: Path, signal: np.ndarray) -> None:
        held = write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)

        def read(start: int) -> bool:
            return np.array_equal(source.read(0, start, start + 90), held[:, start : start + 90])

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(0, 300, 5)))
