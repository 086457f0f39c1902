"""Signals larger than memory are rejected before they are unpacked."""

import numpy as np
import pytest

from physio_mae_jax.data.formats import memory
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.npz_files import write


def test_repetition_that_would_fill_memory_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_SMALL_BYTES", 0)
    monkeypatch.setattr(memory, "_LARGE_BYTES", 2**20)
    write(tmp_path, X=np.zeros((2, 2, 200_000), np.float32))
    with pytest.raises(DataError, match=r"'X' unpacks from [\d,]+ bytes to 3,200,128"):
        open_folder(tmp_path)
    write(tmp_path, compressed=False, X=np.ones((2, 2, 200_000), np.float32))
    assert len(open_folder(tmp_path).recordings) == 2


def test_a_signal_larger_than_memory_is_rejected_by_name(tmp_path, monkeypatch):
    write(tmp_path)
    source = open_folder(tmp_path)
    monkeypatch.setattr(memory, "_SMALL_BYTES", 0)
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(DataError, match=r"a\.npz, member 'X' takes .* GiB of memory, .* are free"):
        source.read(0, 0, 10)
