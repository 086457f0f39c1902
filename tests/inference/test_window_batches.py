"""Batches of windows: padded to few shapes, and bounded in memory."""

import functools
import tracemalloc

import numpy as np
import pytest

from physio_mae_jax.inference.window_batches import batch_bucket
from tests.encoders import beats, encoder

LEADS = ["I", "II", "V1"]
ALIKE = functools.partial(np.testing.assert_allclose, atol=2e-5, rtol=0)


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.mark.parametrize("changes", [{}, {"encoder_attention": "joint", "waveform_branch": False}])
def test_padding_changes_nothing(changes, monkeypatch):
    """Whatever lies behind a short recording, its embedding is the same."""
    made = encoder(**changes)
    signal = beats(2.6, 100)
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    wanted, report = made.encode_with_report(signal, **arguments)
    assert [note.text for note in report.of("padded")] == ["from 2.6 to 4 s, masked"]
    pad = np.pad

    def with_noise(values, widths, **settings):
        padded = pad(values, widths, **settings)
        if padded.ndim == 2 and padded.shape[1] == 400:
            padded[:, 260:] = np.random.default_rng(0).normal(size=(len(padded), 140))
        return padded

    monkeypatch.setattr("physio_mae_jax.inference.window_batches.np.pad", with_noise)
    ALIKE(made.encode(signal, **arguments), wanted)


def test_a_batch_gives_what_each_recording_gives(made):
    signals = [beats(seconds, 100, seed=i) for i, seconds in enumerate((4, 10, 3.2, 7.77, 4))]
    together = made.encode(signals, sampling_rate_hz=100, channels=LEADS)
    for signal, embedding in zip(signals, together, strict=True):
        ALIKE(made.encode(signal, sampling_rate_hz=100, channels=LEADS)[0], embedding)


def test_an_hour_takes_the_memory_of_some_batches(made):
    """As float32 windows the hour would take three times what is allowed here."""
    arguments = {"sampling_rate_hz": 250, "channels": LEADS, "overlap": 0.25}
    hour = np.tile(beats(60, 250, leads=3).astype(np.float32), 60)
    made.encode(hour[:, :15_000], **arguments)  # what compiling takes is not counted
    tracemalloc.start()
    found, report = made.encode_with_report(hour, **arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.num_windows == 1200
    assert np.isfinite(found).all()
    assert 3 * peak < 1200 * 3 * 400 * 4


def test_batches_are_padded_to_powers_of_two_for_each_device():
    assert [batch_bucket(n, 32, 1) for n in (1, 2, 3, 17, 32)] == [1, 2, 4, 32, 32]
    assert [batch_bucket(n, 32, 4) for n in (1, 5, 9, 17)] == [4, 8, 16, 32]
