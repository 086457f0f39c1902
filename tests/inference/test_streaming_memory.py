"""An hour of a signal takes the memory of a few windows."""

import tracemalloc

import numpy as np
import pytest

from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.streaming.stream import Stream
from tests.encoders import beats, untrained

LEADS = ("II", "PPG")
MINUTES = 60


@pytest.mark.parametrize("rate_hz", [100.0, 250.0])
@pytest.mark.parametrize("hop_seconds", [4.0, 20.0])
def test_memory_does_not_depend_on_the_length_of_the_signal(rate_hz, hop_seconds):
    spec = untrained().model_spec.input
    model = ModelInput(channels=spec.channels, window=spec.window, column_samples=20)
    description = SignalMetadata(sampling_rate_hz=rate_hz, channels=LEADS)
    mean = np.zeros(1, np.float32)
    stream = Stream(
        lambda window: mean + window["signal"].mean(),
        model,
        (1,),
        "",
        description=description,
        hop_seconds=hop_seconds,
    )
    minute = beats(60, rate_hz, leads=2)
    minute += 0.1 * np.random.default_rng(0).normal(size=minute.shape)
    rows = len(stream.push(minute))  # imports the filters
    tracemalloc.start()
    try:
        rows += sum(len(stream.push(minute)) for _ in range(MINUTES - 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.seconds == 60 * MINUTES
    assert rows >= (3600 - 4) // hop_seconds  # the filter may need samples after the last window
    window, hop = (8 * len(LEADS) * rate_hz * seconds for seconds in (4.0, hop_seconds))
    # A window is read, resampled and normalized in arrays of its own.
    limit = 16 * window + 4 * hop + 300_000
    assert peak < limit < minute.nbytes * MINUTES / 4
