"""Rates without a small ratio are interpolated."""

import numpy as np
import pytest

from physio_mae_jax.signals.preprocess import Resampler, resample
from tests.signals.noises import noise

ODD = [1.0001, 10.0001, 62.4725, 250.0002, 333.333, 999.999, 1000.01, 1 / 0.004000041, 49_999.99]


@pytest.mark.parametrize("rate_hz", ODD)
def test_a_crop_of_odd_rates_is_a_crop_of_the_whole(rate_hz):
    signal = noise(rate_hz, min(20.0, 3e5 / rate_hz))
    change = Resampler.between(rate_hz, 100.0)
    whole = resample(signal, change)
    assert whole.shape[1] == -(-signal.shape[1] * change.up // change.down)
    for start in (0, 1, 133, 177, 190):
        first, last, offset = change.source_span(start, 400, signal.shape[1])
        assert 0 <= first < last <= signal.shape[1]
        crop = resample(signal[:, first:last], change, first)[:, offset : offset + 400]
        np.testing.assert_allclose(crop, whole[:, start : start + 400], atol=1e-4)


@pytest.mark.parametrize("rate_hz", [rate for rate in ODD if rate > 50])
def test_a_sine_of_odd_rates_keeps_its_time_and_an_offset(rate_hz):
    moments = np.arange(round(rate_hz * min(20.0, 2e5 / rate_hz))) / rate_hz
    ours = resample(np.sin(2 * np.pi * 7 * moments)[None] + 5, Resampler.between(rate_hz, 100.0))
    expected = np.sin(2 * np.pi * 7 * np.arange(ours.shape[1]) / 100) + 5
    np.testing.assert_allclose(ours[0, 50:-50], expected[50:-50], atol=5e-3)
    constant = resample(np.full((1, 500), 3.7), Resampler.between(rate_hz, 100.0))
    np.testing.assert_allclose(constant, 3.7, rtol=1e-6)


def test_odd_rates_agree_with_those_beside_them():
    """The same kernel, so nothing jumps where the way of computing changes."""
    signal = noise(1000.0, 3.0)
    ordinary = resample(signal, Resampler.between(1000.0, 100.0))
    odd_change = Resampler.between(1000.000_02, 100.0)
    assert not Resampler.between(1000.01, 100.0).is_polyphase
    odd = resample(signal, odd_change)
    np.testing.assert_allclose(odd, ordinary[:, : odd.shape[1]], atol=1e-3)


def test_what_the_new_rate_cannot_hold_is_removed_at_odd_rates_too():
    moments = np.arange(5000) / 500.03
    ours = resample(np.sin(2 * np.pi * 80 * moments)[None], Resampler.between(500.03, 100.0))[0]
    assert np.abs(ours[50:-50]).max() < 0.05


@pytest.mark.parametrize("rate_hz", ODD)
def test_a_day_drifts_by_less_than_a_sample(rate_hz):
    change = Resampler.between(rate_hz, 100.0)
    samples = round(rate_hz * 86_400)
    assert abs(change.length_after(samples) - samples * 100 / rate_hz) < 1.0
