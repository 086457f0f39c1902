"""The transform against float64 references written from the formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from physio_mae_jax.signals import wavelet
from physio_mae_jax.signals.wavelet_bank import WaveletConfig, wavelet_bank
from tests.signals.wavelets import relative_error, ricker

# Compiled as a whole: each operation alone takes long to compile.
_SETTINGS = ("config", "sampling_rate_hz", "method")
coefficients = jax.jit(wavelet.coefficients, static_argnames=_SETTINGS[:2])
scalogram = jax.jit(wavelet.scalogram, static_argnames=_SETTINGS)


def band_limited_noise(seconds: float, rate: float, highest_hz: float) -> np.ndarray:
    """Sum sinusoids below ``highest_hz``, the same at every rate."""
    rng = np.random.default_rng(3)
    time = np.arange(round(seconds * rate)) / rate
    frequency, phase = rng.uniform(0.3, highest_hz, 40), rng.uniform(0, 6.28, 40)
    return np.sin(2 * np.pi * frequency[:, None] * time + phase[:, None]).sum(axis=0)


@pytest.mark.parametrize("rate", [100.0, 125.0, 250.0, 500.0])
def test_transform_equals_direct_correlation_in_float64(rate: float) -> None:
    signal = band_limited_noise(6.0, rate, 40.0)
    config = WaveletConfig(num_scales=24, difference_planes=False)
    bank = wavelet_bank(config, rate, len(signal))
    ours = coefficients(jnp.asarray(signal, jnp.float32)[None, None], config, rate)
    padded = np.pad(signal, bank.padding, mode="reflect")
    for row, frequency in enumerate(bank.frequencies_hz):
        scale = np.sqrt(2) * rate / (2 * np.pi * frequency)
        if scale < 1.5:
            continue  # narrower than the samples resolve; see the band-limit test
        kernel = ricker(np.arange(-bank.padding, bank.padding + 1.0), scale)
        reference = np.correlate(padded, kernel, mode="valid")
        assert relative_error(ours[0, 0, 0, row], reference) < 1e-4


@pytest.mark.parametrize("rate", [100.0, 125.0, 250.0, 500.0])
def test_narrow_wavelets_are_those_of_the_band_limited_signal(rate: float) -> None:
    """Every row, the finest too, equals the integral over the continuous signal."""
    config = WaveletConfig(num_scales=8, difference_planes=False)
    frequency_hz, phase = 30.0, 0.4
    time = np.arange(round(4 * rate)) / rate
    signal = np.sin(2 * np.pi * frequency_hz * time + phase)
    ours = coefficients(jnp.asarray(signal, jnp.float32)[None, None], config, rate)
    bank = wavelet_bank(config, rate, len(signal))
    middle = len(time) // 2
    for row, center_hz in enumerate(bank.frequencies_hz[:4]):
        scale = np.sqrt(2) * rate / (2 * np.pi * center_hz)
        gain, _ = integrate.quad(
            lambda t, s=scale: float(ricker(np.asarray(t), s)) * np.cos(2 * np.pi * 30 * t / rate),
            -8 * scale,
            8 * scale,
            limit=200,
        )
        np.testing.assert_allclose(ours[0, 0, 0, row, middle], gain * signal[middle], atol=3e-3)


def test_same_physiology_at_every_rate() -> None:
    """Scales in Hz: the normalized scalogram of one signal agrees between 100 and 500 Hz."""
    config = WaveletConfig(num_scales=32, difference_planes=False)
    low, high = (
        scalogram(jnp.asarray(band_limited_noise(8, r, 35.0))[None, None], config, r)
        for r in (100.0, 500.0)
    )
    inside = slice(250, 550)
    assert (
        relative_error(high[0, 0, 0, :, ::5][:, inside], np.asarray(low)[0, 0, 0][:, inside]) < 0.01
    )


def test_a_constant_gives_nothing_and_a_sine_peaks_at_its_own_row() -> None:
    config = WaveletConfig(num_scales=48, difference_planes=False)
    constant = coefficients(jnp.full((1, 1, 1000), 3.0), config, 100.0)
    assert np.abs(constant).max() < 2e-3
    time = np.arange(1000) / 100
    for frequency_hz in (1.0, 5.0, 20.0):
        sine = jnp.asarray(np.sin(2 * np.pi * frequency_hz * time), jnp.float32)
        planes = coefficients(sine[None, None], config, 100.0)[0, 0, 0]
        frequencies = wavelet_bank(config, 100.0, 1000).frequencies_hz
        # Unit-energy wavelets of scale s gain sqrt(s): the peak lies at sqrt(2.5) / s, not at
        # the spectral peak sqrt(2) / s.
        peak_hz = frequencies[np.argmax(planes[:, 300:700].std(axis=1))] * np.sqrt(2.5 / 2)
        assert abs(np.log2(peak_hz / frequency_hz)) < 0.1


def test_difference_planes_follow_the_formula() -> None:
    signal = np.random.default_rng(1).normal(size=50).astype(np.float32)
    take = jax.jit(lambda x: wavelet.difference_planes(x, WaveletConfig()))
    planes = take(jnp.asarray(signal))
    first = np.diff(signal, prepend=signal[0])
    second = np.diff(np.pad(signal, 1, mode="edge"), n=2)
    np.testing.assert_allclose(planes, np.stack([signal, first, second]), atol=1e-6)


def test_normalization_is_over_scales_and_time_with_unbiased_deviation() -> None:
    values = np.random.default_rng(2).normal(3, 5, (2, 3, 4, 50)).astype(np.float32)
    normalize = jax.jit(lambda x: wavelet.normalize_planes(x, wavelet.plane_statistics(x)))
    ours = normalize(jnp.asarray(values))
    mean = values.mean(axis=(2, 3), keepdims=True)
    std = values.std(axis=(2, 3), keepdims=True, ddof=1)
    np.testing.assert_allclose(ours, (values - mean) / std, atol=2e-6)


@pytest.mark.parametrize("bank", ["hz", "samples"])
def test_padding_changes_nothing_in_front_of_it(bank: str) -> None:
    config = WaveletConfig(bank=bank, num_scales=12, lowest_frequency_hz=0.8)
    rng = np.random.default_rng(4)
    signal = jnp.asarray(rng.normal(size=(2, 2, 400)), jnp.float32)
    garbage = jnp.asarray(rng.normal(5, 9, size=(2, 2, 100)), jnp.float32)
    padded = jnp.concatenate([signal, garbage], axis=-1)
    alone = scalogram(signal, config, 100.0)
    within = scalogram(padded, config, 100.0, jnp.array([400, 400]))
    np.testing.assert_allclose(within[..., :400], alone, atol=2e-4)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e6])
@pytest.mark.parametrize(
    ("bank", "num_samples", "rate"),
    [("hz", 600, 100.0), ("hz", 1500, 250.0), ("samples", 777, 1.0)],
)
def test_products_equal_the_fft(bank: str, num_samples: int, rate: float, unit: float) -> None:
    config = WaveletConfig(bank=bank, num_scales=32, lowest_frequency_hz=0.8)
    signal = np.random.default_rng(5).normal(size=(3, 2, num_samples))
    signal[1, 0, 300] = 1000.0  # an artifact, which must not drown the rest in rounding
    signal[2, 1] = 7.0  # a lead that came off
    signal = jnp.asarray(unit * signal, jnp.float32)
    exact = scalogram(signal, config, rate)
    ours = scalogram(signal, config, rate, method="products")
    assert ours.shape == exact.shape
    difference = np.sqrt(np.mean(np.square(ours - exact), axis=(-2, -1)))
    assert difference[:2].max() < 2e-3
    assert difference[2, 0].max() < 2e-3


@pytest.mark.parametrize("bank", ["hz", "samples"])
def test_padding_changes_nothing_in_front_of_it_by_products(bank: str) -> None:
    config = WaveletConfig(bank=bank, num_scales=12, lowest_frequency_hz=0.8)
    rng = np.random.default_rng(6)
    signal = jnp.asarray(rng.normal(size=(2, 2, 500)), jnp.float32)
    valid = jnp.array([400, 470])
    exact = scalogram(signal, config, 100.0, valid)
    ours = scalogram(signal, config, 100.0, valid, method="products")
    for row, length in enumerate((400, 470)):
        np.testing.assert_allclose(ours[row, ..., :length], exact[row, ..., :length], atol=1e-2)


@pytest.mark.parametrize("method", ["fft", "products"])
def test_transform_is_differentiable_and_jittable(method: wavelet.Method) -> None:
    config = WaveletConfig(num_scales=8, lowest_frequency_hz=1.0)
    gradient = jax.jit(jax.grad(lambda x: wavelet.scalogram(x, config, 100.0, None, method).sum()))(
        jnp.ones((1, 1, 300)).at[0, 0, 100].set(2.0)
    )
    assert np.isfinite(gradient).all()
