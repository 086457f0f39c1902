"""Folders without a manifest are searched, and answered with a draft of one."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.folders import NAMES, whole, write_csv, write_wfdb


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


def test_mute_files_are_answered_with_a_draft_that_works(
    tmp_path: Path, signal: np.ndarray
) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, signal)
    with pytest.raises(DataError, match=r"(?s)a\.npy does not say its rate.*\"file\": \"\*\.npy\""):
        open_folder(tmp_path)
    draft = draft_manifest(tmp_path)
    (entry,) = draft["recordings"]
    entry["sampling_rate_hz"], entry["channels"] = 100, NAMES
    (tmp_path / "manifest.json").write_text(json.dumps(draft), encoding="utf-8")
    source = open_folder(tmp_path)
    assert len(source.recordings) == 2
    np.testing.assert_array_equal(whole(source), signal)
