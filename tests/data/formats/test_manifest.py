"""Manifests are read or rejected, with the entry and the key."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.folders import NAMES, write_manifest


def test_subjects_by_pattern_mapping_and_name(tmp_path: Path, signal: np.ndarray) -> None:
    for name in ("p1_night1", "p1_night2", "p2_night1"):
        np.savez(tmp_path / f"{name}.npz", X=signal, channels=NAMES, fs=100)
    subjects = {"p1_night1": "x", "p1_night2": "x", "p2_night1": "y"}
    for field, expected in (
        ({"subject_pattern": r"^(p\d+)_"}, ["p1", "p1", "p2"]),
        ({"subjects": subjects}, ["x", "x", "y"]),
        ({"subject": 5}, ["5", "5", "5"]),
    ):
        write_manifest(tmp_path, {"file": "*.npz", **field})
        assert [info.subject_id for info in open_folder(tmp_path).recordings] == expected
    del subjects["p2_night1"]
    write_manifest(tmp_path, {"file": "*.npz", "subjects": subjects})
    with pytest.raises(DataError, match="no 'p2_night1'"):
        open_folder(tmp_path)
    write_manifest(tmp_path, {"file": "*.npz", "subject_pattern": r"^(q\d+)"})
    with pytest.raises(DataError, match=r"finds no subject in 'p1_night1\.npz'"):
        open_folder(tmp_path)


def test_files_of_a_manifest_must_exist_once(tmp_path: Path, signal: np.ndarray) -> None:
    np.savez(tmp_path / "cohort.npz", X=signal, channels=NAMES, fs=100)
    for entries, message in (
        ([{"file": "cohrt.npz"}], "cohrt.npz does not exist.*Did you mean 'cohort.npz'"),
        ([{"file": "*.csv"}], r"'\*\.csv' matches no file"),
        ([{"file": "*.npz"}, {"file": "cohort.npz"}], "lists already"),
        ([{"file": "manifest.json"}], "'.json' cannot be read; supported: .npy"),
        ([{"file": "cohort.npz", "sampling_rate_hz": 50}], "has 100 .* states 50"),
        ([{"file": "cohort.npz", "array": "Y"}], "no member 'Y'; it has X, channels, fs"),
    ):
        write_manifest(tmp_path, *entries)
        with pytest.raises(DataError, match=message):
            open_folder(tmp_path)
    with pytest.raises(DataError, match=r"absent\.json cannot be read"):
        open_folder(tmp_path, tmp_path / "absent.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ("file", "channels", "axes", "array", "subject", "subjects", "subject_pattern")
ANY_ENTRY = st.dictionaries(st.sampled_from((*FIELDS, "units", "sampling_rate_hz")), JSON)
FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(content=st.fixed_dictionaries({"recordings": st.lists(ANY_ENTRY, min_size=1)}) | JSON)
def test_any_manifest_is_read_or_rejected(tmp_path: Path, content: object) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((1, 9)), channels=["II"], fs=100)
    (tmp_path / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with contextlib.suppress(DataError):
        open_folder(tmp_path)
