"""Banks of wavelets: their scales, and settings that are impossible."""

import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.signals import wavelet
from physio_mae_jax.signals.wavelet_bank import WaveletConfig, wavelet_bank
from tests.signals.wavelets import relative_error, ricker


@pytest.mark.parametrize("num_scales", [16, 64])
@pytest.mark.parametrize("num_samples", [500, 1000])
def test_bank_in_samples_follows_the_original(num_scales: int, num_samples: int) -> None:
    config = WaveletConfig(bank="samples", num_scales=num_scales, difference_planes=False)
    bank = wavelet_bank(config, 100.0, num_samples)
    if num_scales == 64:  # As in the original: float32(63.1) · 10 truncates to an even 630
        assert bank.kernels.shape[1] == (630 if num_samples == 1000 else 501)
    signal = np.random.default_rng(0).normal(size=num_samples)
    ours = wavelet.coefficients(jnp.asarray(signal, jnp.float32)[None, None], config, 100.0)
    length = bank.kernels.shape[1]
    padded = np.pad(signal, length // 2)
    time = np.arange(length) - (length - 1) / 2
    for row in range(1, num_scales):
        reference = np.correlate(padded, ricker(time, row + 0.1), mode="valid")[:num_samples]
        assert relative_error(ours[0, 0, 0, row], reference) < 1e-4


def test_impossible_banks_name_the_setting() -> None:
    with pytest.raises(ConfigError, match="highest_frequency_hz is 60"):
        wavelet_bank(WaveletConfig(highest_frequency_hz=60.0), 100.0, 1000)
    with pytest.raises(ConfigError, match="lengthen the window"):
        wavelet_bank(WaveletConfig(), 100.0, 200)
    with pytest.raises(ConfigError, match="choose one of hz, samples"):
        WaveletConfig(bank="morlet")


def test_suggested_frequency_is_accepted() -> None:
    with pytest.raises(ConfigError) as caught:
        wavelet_bank(WaveletConfig(), 100.0, 200)
    suggestion = float(str(caught.value).split("set the frequency to ")[1].split(" Hz")[0])
    wavelet_bank(WaveletConfig(lowest_frequency_hz=suggestion), 100.0, 200)


def test_a_bank_that_takes_all_memory_is_rejected():
    huge = WaveletConfig(num_scales=1024, lowest_frequency_hz=0.001, highest_frequency_hz=40.0)
    with pytest.raises(ConfigError, match=r"num_scales=1024 wavelets of up to .* lower it"):
        wavelet_bank(huge, 100.0, 10_000_000)
