"""Channels are chosen and renamed as a manifest says."""

from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import whole, write_csv, write_manifest, write_wfdb


def test_listed_channels_are_taken_by_name_and_renamed(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "a.csv", signal)
    write_manifest(tmp_path, {"file": "a.csv", "channels": {"RESP": "breath", "II": "I"}})
    source = open_folder(tmp_path)
    assert source.recordings[0].channel_names == ("breath", "I")
    np.testing.assert_array_equal(whole(source), signal[[2, 0]])
    held = write_wfdb(tmp_path, "b", signal)
    write_manifest(tmp_path, {"file": "b.hea", "channels": ["RESP", "PLETH"]})
    source = open_folder(tmp_path)
    assert source.recordings[0].channel_names == ("RESP", "PPG")
    np.testing.assert_array_equal(whole(source), held[[2, 1]])
    write_manifest(tmp_path, {"file": "b.hea", "channels": ["II", "V1"]})
    with pytest.raises(DataError, match=r"'V1' is not in .*b\.hea; it has II, PPG, RESP"):
        open_folder(tmp_path)


def test_channels_of_one_name_are_renamed_in_order(tmp_path: Path, signal: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", X=signal, channels=["ECG", "ECG", "ECG"], fs=100)
    write_manifest(tmp_path, {"file": "a.npz", "channels": ["I", "II", "III"]})
    source = open_folder(tmp_path)
    assert source.recordings[0].channel_names == ("I", "II", "III")
    np.testing.assert_array_equal(whole(source), signal)
