"""Folders without a manifest are searched for recordings."""

import logging
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import write_csv, write_wfdb


def test_unknown_subjects_and_unread_folders_are_said(
    tmp_path: Path, signal: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    write_csv(tmp_path / "a.csv", signal)
    (tmp_path / "deeper").mkdir()
    write_csv(tmp_path / "deeper" / "b.csv", signal)
    with caplog.at_level(logging.INFO):
        source = open_folder(tmp_path)
    assert [info.record_id for info in source.recordings] == ["a"]
    assert "deeper/ are not read" in caplog.text
    assert "1 of 1 recordings name no subject" in caplog.text


def test_one_record_in_two_formats_is_rejected(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "a.csv", signal)
    write_wfdb(tmp_path, "a", signal)
    with pytest.raises(DataError, match=r"record id 'a' occurs 2 times .*a\.csv.*a\.hea"):
        open_folder(tmp_path)


def test_missing_folder_names_the_part_that_exists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"does not exist \\({tmp_path} does"):
        open_folder(tmp_path / "data" / "ecg")
    (tmp_path / "x.npz").touch()
    with pytest.raises(DataError, match="is a file; give the folder"):
        open_folder(tmp_path / "x.npz")
    (tmp_path / "x.npz").unlink()
    with pytest.raises(DataError, match="has no recordings"):
        open_folder(tmp_path)
