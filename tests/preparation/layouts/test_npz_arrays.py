"""Members of an npz file are read once, and again when the file was changed."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.npz_arrays import load_npz


def test_members_are_kept_until_the_file_changes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3))
    first = load_npz(path, "it")
    assert load_npz(path, "it") is first
    with pytest.raises(ValueError, match="read-only"):
        first["x"][0] = 1
    np.savez(path, x=np.arange(30))
    assert len(load_npz(path, "it")["x"]) == 30


def test_missing_and_damaged_files_are_named(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match=r"a\.npz"):
        load_npz(path, "it")
    path.write_bytes(b"PK no archive")
    with pytest.raises(UnreadableError, match=r"a\.npz"):
        load_npz(path, "it")
