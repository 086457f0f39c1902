"""Patterns of a manifest end, and find what they found."""

import time

import pytest

from physio_mae_jax.data.formats import patterns
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.patterns import find_group
from physio_mae_jax.errors import DataError
from tests.data.formats.manifests import folder_with

TEXT = "a" * 40 + "/ward-3/p12_night"


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
