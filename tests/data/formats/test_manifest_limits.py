"""What a manifest says can neither hang nor be taken for something else."""

import json
import os
import time

import numpy as np
import pytest

from physio_mae_jax.data.formats import patterns
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.manifest import parse_manifest
from physio_mae_jax.data.formats.patterns import find_group
from physio_mae_jax.errors import DataError

TEXT = "a" * 40 + "/ward-3/p12_night"


def folder_with(path, entry, name="a"):
    np.savez(
        path / f"{name}.npz",
        X=np.random.default_rng(0).normal(size=(1, 300)).astype(np.float32),
        channels=np.array(["II"]),
        fs=100,
    )
    (path / "manifest.json").write_text(json.dumps({"recordings": [entry]}))
    return path


@pytest.mark.parametrize("pattern", ["(a+)+$b", "(a|a)*$b", r"(\w*)*x", r"((?:a|aa)+)$x"])
def test_a_pattern_that_never_ends_is_rejected(tmp_path, pattern, monkeypatch):
    monkeypatch.setattr(patterns, "_TIMEOUT_S", 0.5)
    folder_with(tmp_path, {"file": "*.npz", "subject_pattern": pattern}, name="a" * 40)
    began = time.perf_counter()
    with pytest.raises(DataError, match=r"subject_pattern .* takes more than"):
        open_folder(tmp_path)
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        (r"(p\d+)_", "p12"),
        (r"/(p\d+)_", "p12"),
        (r"((?:[a-z]+-)+\d)", "ward-3"),
        (r"ward-(\d|\d\d)/", "3"),
        (r"(.*)/.*/", "a" * 40),
        (r"(?P<who>p[0-9]{2})", "p12"),
        (r"(?:sub|p)(\d+)(?=_)", "12"),
        (r"(x)", None),
    ],
)
def test_patterns_that_end_find_what_they_found(pattern, subject):
    assert find_group(pattern, TEXT, "entry") == subject


def test_the_subjects_of_many_files_are_searched_by_one_process(tmp_path, monkeypatch):
    started = []
    real = patterns.subprocess.run
    monkeypatch.setattr(
        patterns.subprocess, "run", lambda *a, **k: started.append(1) or real(*a, **k)
    )
    for i in range(30):
        folder_with(tmp_path, {"file": "*.npz", "subject_pattern": r"((?:x+-)+\d+)"}, f"x-xx-{i}")
    assert len({r.subject_id for r in open_folder(tmp_path).recordings}) == 30
    assert len(started) == 1


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
