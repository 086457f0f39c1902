"""Models loaded from the checkpoints of runs."""

import numpy as np
import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.errors import UserError
from tests.encoders import beats, encoder, write_run

LEADS = ["I", "II", "V1"]


@pytest.fixture(scope="module")
def made():
    return encoder()


def test_it_is_loaded_by_the_checkpoint_alone(tmp_path, made):
    loaded = Encoder.from_checkpoint(write_run(tmp_path / "run"), batch_size=16, num_devices=1)
    signal = beats(5, 100)
    wanted = made.encode(signal, sampling_rate_hz=100, channels=LEADS)
    found = loaded.encode(signal, sampling_rate_hz=100, channels=LEADS)
    np.testing.assert_array_equal(found, wanted)
    assert loaded.fingerprint == made.fingerprint
    assert "100 Hz; others are resampled" in loaded.describe()


def test_a_damaged_contract_is_reported(tmp_path):
    folder = write_run(tmp_path / "run")
    path = folder / "checkpoints" / "1" / "model_spec" / "metadata"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"checkpoints/1 is damaged: model_spec/metadata"):
        Encoder.from_checkpoint(folder)


def test_a_folder_without_checkpoints_is_named(tmp_path):
    for folder, reason in ((tmp_path, "holds no checkpoints"), (tmp_path / "no", "is not there")):
        with pytest.raises(UserError, match=reason):
            Encoder.from_checkpoint(folder)
        assert not (folder / "checkpoints").exists()
