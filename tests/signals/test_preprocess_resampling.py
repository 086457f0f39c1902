"""Resampling keeps signals and their times."""

import time
import tracemalloc

import numpy as np
import pytest
from scipy import signal as scipy_signal

from physio_mae_jax.data.window_starts import window_starts
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.preprocess import Resampler, resample
from tests.encoders import beats, cosine, encoder
from tests.signals.noises import noise
from tests.window_readers import random_recordings


@pytest.fixture(scope="module")
def made():
    return encoder(input={"channels": ("I", "II", "V1", "EDA")})


@pytest.mark.parametrize(
    ("rate_hz", "ratio"),
    [
        (64.0, (25, 16)),
        (125.0, (4, 5)),
        (173.61, (10_000, 17_361)),
        (250.0, (2, 5)),
        (360.0, (5, 18)),
        (496.0, (25, 124)),
        (500.0, (1, 5)),
        (62.47, (10_000, 6_247)),
    ],
)
def test_ordinary_rates_keep_their_filter(rate_hz, ratio):
    change = Resampler.between(rate_hz, 100.0)
    assert (change.up, change.down) == ratio
    assert change.is_polyphase
    # As scipy does it, but for the gain of each phase and the offset.
    signal = noise(rate_hz, 5.0)
    plain = scipy_signal.resample_poly(signal, *ratio, axis=-1, padtype="edge")
    assert np.abs(resample(signal, change) - plain)[:, 20:-20].max() < 5e-3


@pytest.mark.parametrize("rate_hz", [1.0001, 62.4725, 999.999, 1000.01])
def test_windows_of_odd_rates_keep_clear_of_gaps(rate_hz):
    change, length, total = Resampler.between(rate_hz, 100.0), 50, max(60, round(rate_hz * 9))
    gaps = [(total // 3, total // 3 + 5)]
    starts = window_starts(total, gaps, change, length)
    found = {starts[i] for i in range(len(starts))}
    for start in range(0, change.length_after(total) - length + 1, 7):
        first, last, _ = change.source_span(start, length, total)
        assert (start in found) == (last <= gaps[0][0] or first >= gaps[0][1])


@pytest.mark.parametrize("rate_hz", [1.0001, 1000.01, 999.999, 62.4725])
def test_odd_rates_cost_neither_time_nor_memory(made, rate_hz):
    signal = noise(rate_hz, max(10.0, 1200 / rate_hz), 1)
    given = {"sampling_rate_hz": rate_hz, "channels": ["EDA"]}
    made.encode(signal[:, : round(8 * rate_hz) + 1], **given)  # compiles
    tracemalloc.start()
    began = time.process_time()
    found = made.encode(signal, **given)
    spent, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(found).all()
    assert peak < 150e6
    assert spent < 20  # seconds of all threads; 29 were spent on the largest filter alone


def test_a_beat_at_an_odd_rate_has_the_same_embedding(made):
    wanted = made.encode(beats(10, 100), sampling_rate_hz=100, channels=["I", "II", "V1"])
    for rate_hz in (250.0002, 999.999, 1000.01):
        found = made.encode(
            beats(10, rate_hz), sampling_rate_hz=rate_hz, channels=["I", "II", "V1"]
        )
        assert cosine(found, wanted) > 0.999


@pytest.mark.parametrize("rate_hz", [0.0, -100.0, float("nan"), float("inf")])
def test_what_is_no_rate_is_not_resampled(rate_hz):
    with pytest.raises(DataError, match="must be positive numbers"):
        Resampler.between(rate_hz, 100.0)


@pytest.mark.parametrize("rate", [125.0, 250.0, 500.0, 128.0, 173.61, 64.0])
def test_resampling_a_crop_is_cropping_the_resampled(rate):
    (signal,) = random_recordings([round(rate * 20)])
    change = Resampler.between(rate, 100.0)
    whole = resample(signal, change)
    for start in (0, 1, 333, 777, 1500):
        first, last, offset = change.source_span(start, 400, signal.shape[1])
        crop = resample(signal[:, first:last], change)[:, offset : offset + 400]
        np.testing.assert_allclose(crop, whole[:, start : start + 400], atol=1e-4)


@pytest.mark.parametrize("rate", [125.0, 250.0, 500.0])
def test_resampling_keeps_a_sine_and_its_time(rate):
    time = np.arange(round(rate * 10)) / rate
    ours = resample(np.sin(2 * np.pi * 7 * time)[None], Resampler.between(rate, 100.0))[0]
    expected = np.sin(2 * np.pi * 7 * np.arange(len(ours)) / 100)
    np.testing.assert_allclose(ours[50:-50], expected[50:-50], atol=5e-3)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    time = np.arange(5000) / 500
    ours = resample(np.sin(2 * np.pi * 80 * time)[None], Resampler.between(500.0, 100.0))[0]
    assert np.abs(ours[50:-50]).max() < 0.05
