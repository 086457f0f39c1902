"""Long uncompressed npz signals are read in place, with the values of those that are loaded."""

import numpy as np
import pytest

from physio_mae_jax.data.formats import npz_member
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError

SIGNAL = np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32)


def write(folder, signal, save=np.savez):
    save(folder / "a.npz", X=signal, channels=np.array(["I", "II"]), fs=100.0)


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(npz_member, "_IN_PLACE_BYTES", 1)


@pytest.mark.parametrize(
    "stored",
    [SIGNAL, SIGNAL.astype(">f8"), SIGNAL.T, np.asfortranarray(SIGNAL), SIGNAL[None], SIGNAL * 9e9],
)
def test_values_are_those_of_a_loaded_array(tmp_path, monkeypatch, stored):
    write(tmp_path, stored)
    loaded = open_folder(tmp_path).read(0, 123, 4567)
    monkeypatch.setattr(npz_member, "_IN_PLACE_BYTES", 1)
    source = open_folder(tmp_path)
    np.testing.assert_array_equal(source.read(0, 123, 4567), loaded)
    assert source._loaded._recent.num_bytes == 0


def test_compressed_ones_are_loaded(tmp_path, always):
    write(tmp_path, SIGNAL, np.savez_compressed)
    source = open_folder(tmp_path)
    np.testing.assert_array_equal(source.read(0, 10, 20), SIGNAL[:, 10:20])
    assert source._loaded._recent.num_bytes == SIGNAL.nbytes


def test_a_damaged_sample_is_found(tmp_path, always):
    write(tmp_path, SIGNAL)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[20_000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        open_folder(tmp_path).read(0, 0, 10)


@pytest.mark.parametrize("changed", [SIGNAL[:, :1000], SIGNAL.astype(np.float64).T])
def test_a_file_that_changed_is_reported(tmp_path, always, changed):
    write(tmp_path, SIGNAL)
    source = open_folder(tmp_path)
    source.read(0, 0, 10)
    write(tmp_path, changed)
    with pytest.raises(DataError, match="changed"):
        source.read(0, 0, 10)
