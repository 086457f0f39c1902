"""Folders of real signals."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import MANIFESTS, whole, write_manifest


class TestRealSignals:
    def test_bidmc_describes_itself(self, shared: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            source = open_folder(shared / "data" / "bidmc")
        assert "bidmc_csv/ are not read" in caplog.text
        assert source.recordings[0].channel_names == ("PPG", "II", "RESP")
        stated = open_folder(shared / "data" / "bidmc", MANIFESTS / "bidmc.json")
        assert stated.recordings == source.recordings
        assert len({info.subject_id for info in source.recordings}) < len(source.recordings)

    def test_bidmc_csv_holds_the_same_signals(self, shared: Path) -> None:
        folder = shared / "data" / "bidmc"
        with pytest.raises(DataError, match=r"(?s)_Breaths\.csv.*\*_Signals\.csv"):
            open_folder(folder / "bidmc_csv")
        tables = open_folder(folder / "bidmc_csv", MANIFESTS / "bidmc_csv.json")
        stacked = open_folder(folder)
        for index, info in enumerate(tables.recordings):
            assert info.sampling_rate_hz == 125.0
            assert info.subject_id == stacked.recordings[index].subject_id
            rows = [info.channel_names.index(name) for name in ("PPG", "II", "RESP")]
            np.testing.assert_array_equal(
                tables.read(index, 500, 900)[rows], stacked.read(index, 500, 900)
            )

    def test_ptbxl_subset_by_its_manifest(self, shared: Path) -> None:
        folder = shared / "data" / "ptbxl_subset"
        source = open_folder(folder, MANIFESTS / "ptbxl_subset.json")
        with np.load(next(folder.glob("*.npz"))) as members:
            patients, ids = members["patient_id"], members["ecg_id"]
            expected = members["X"][1234].T.astype(np.float32)
        info = source.recordings[1234]
        assert info.subject_id == str(patients[1234])
        assert info.record_id.endswith(f"/{ids[1234]}")
        assert (len(source.recordings), info.num_samples) == (2020, 1000)
        np.testing.assert_array_equal(whole(source, 1234), expected)

    def test_mitbih_samples_are_those_of_wfdb(self, shared: Path) -> None:
        folder = shared / "data" / "mitbih_ds1"
        source = open_folder(folder)
        assert len(source.recordings) == 22
        import wfdb

        index = [info.record_id for info in source.recordings].index("114")
        assert source.recordings[index].channel_names == ("V5", "II")
        assert source.recordings[index].sampling_rate_hz == 360.0
        record: Any = wfdb.rdrecord(str(folder / "114"), sampfrom=1001, sampto=4001)
        np.testing.assert_array_equal(
            source.read(index, 1001, 4001), np.asarray(record.p_signal, np.float32).T
        )

    def test_ptbxl_native_by_a_glob(self, shared: Path, tmp_path: Path) -> None:
        write_manifest(tmp_path, {"file": "records100/**/*.hea"})
        source = open_folder(shared / "data" / "ptbxl_native", tmp_path / "manifest.json")
        assert len(source.recordings) == 300
        assert source.recordings[0].channel_names[3:6] == ("aVR", "aVL", "aVF")
