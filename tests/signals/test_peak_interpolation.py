"""Peaks between samples."""

import numpy as np

from physio_mae_jax.signals.peak_interpolation import peak_shift


def test_the_vertex_of_a_parabola_is_exact():
    vertex = np.linspace(-0.5, 0.5, 11)
    before, middle, after = (7.0 - 3.0 * (x - vertex) ** 2 for x in (-1, 0, 1))
    np.testing.assert_allclose(peak_shift(before, middle, after), vertex, atol=1e-12)


def test_without_a_maximum_a_peak_keeps_its_sample():
    flat, valley = np.array([1.0, 1.0, 1.0]), np.array([2.0, 1.0, 3.0])
    assert peak_shift(*np.stack([flat, valley], axis=1)).tolist() == [0.0, 0.0]


def test_a_rise_without_a_peak_stays_within_half_a_sample():
    assert peak_shift(np.array([0.0]), np.array([1.0]), np.array([1.9])).tolist() == [0.5]
