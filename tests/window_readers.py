"""Random recordings, and readers of their windows."""

import numpy as np

from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from tests.factories import ArraySource


def random_recordings(lengths, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(channels, length)).cumsum(axis=1) for length in lengths]


def window_reader(arrays, channels=("II", "PPG"), wanted="II,PPG", rate=100.0, samples=100, **kw):
    window = WindowConfig(
        channels=wanted,
        num_channels=len(wanted.split(",")),
        sampling_rate_hz=100.0,
        num_samples=samples,
    )
    return WindowReader(ArraySource(arrays, channels, rate, **kw), window)
