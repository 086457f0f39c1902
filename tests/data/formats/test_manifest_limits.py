"""What a manifest says can neither hang nor be taken for something else."""

import json
import os

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.manifest import parse_manifest
from physio_mae_jax.errors import DataError
from tests.data.formats.manifests import folder_with


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (".", "is the folder itself"),
        ("./", "is the folder itself"),
        ("**/" * 200 + "*.npz", "200 of them"),
        ("**/a/**/b/**/c/**/*.npz", "4 of them"),
        ("sub", "is a folder; name its files"),
        ("x" * 5000, "cannot be used"),
        ("pipe.npz", "is a pipe or device"),
        ("zero.npz", "is a pipe or device"),
    ],
)
def test_what_is_no_file_is_reported(tmp_path, file, words):
    folder_with(tmp_path, {"file": file})
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=words) as error:
        open_folder(tmp_path)
    assert len(str(error.value)) < 600


def test_one_descent_finds_files_at_any_depth(tmp_path):
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    folder_with(deep, {})
    (tmp_path / "manifest.json").write_text(json.dumps({"recordings": [{"file": "**/*.npz"}]}))
    assert [r.record_id for r in open_folder(tmp_path).recordings] == ["a/b/c/a"]


def test_a_pattern_beyond_all_bounds_is_rejected():
    entry = {"file": "*.npz", "subject_pattern": f"({'a' * 2000})"}
    with pytest.raises(DataError, match="2002 characters"):
        parse_manifest({"recordings": [entry]}, "manifest")


@pytest.mark.parametrize("rate", [0.5, 1e-9, 6e4])
def test_a_rate_of_a_manifest_is_held_against_the_same_range(tmp_path, rate):
    folder_with(tmp_path, {"file": "a.npz", "sampling_rate_hz": rate})
    np.savez(tmp_path / "a.npz", X=np.zeros((1, 300), np.float32), channels=np.array(["II"]))
    with pytest.raises(DataError, match=r"is not plausible; 10 to 50000 Hz"):
        open_folder(tmp_path)
