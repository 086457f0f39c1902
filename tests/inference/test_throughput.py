"""Throughput of an encoder."""

import numpy as np
import pytest

from physio_mae_jax.inference.throughput import measure_arrays, measure_files
from tests.encoders import beats, encoder

LEADS = ["I", "II", "V1"]


@pytest.fixture(scope="module")
def made():
    return encoder()


def test_throughput_is_measured_of_arrays_and_files(made, tmp_path):
    signal = beats(5, 125, leads=2).astype(np.float32)
    for number in range(3):
        path = tmp_path / f"{number}.npz"
        np.savez(path, signal=signal, channels=["II", "PLETH"], fs=125.0, subject=str(number))
    found = measure_files(made, sorted(map(str, tmp_path.iterdir())), repeats=1)
    assert (found.recordings, found.windows) == (3, 6)
    found = measure_arrays(
        made, channels=LEADS, seconds=4, sampling_rate_hz=100, num_recordings=4, repeats=1
    )
    assert str(found).endswith(f"(4 recordings, 4 windows, {found.seconds:.2f} s, cpu)")
