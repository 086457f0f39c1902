"""Files that state no rate are answered with a draft of a manifest that works."""

import json
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.folders import NAMES, whole


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
