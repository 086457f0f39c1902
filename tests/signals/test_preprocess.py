"""Z-scores are right at any scale."""

import warnings

import numpy as np
import pytest

from physio_mae_jax.signals.preprocess import z_score, z_score_ordinary_rows
from tests.encoders import beats

SIGNAL, OTHER = beats(5, 100), beats(5, 100, seed=1)


def plain_z_score(signal):
    """Normalize in long double, as the definition says."""
    wide = signal.astype(np.longdouble)
    wide = wide - wide.mean(axis=-1, keepdims=True)
    return np.clip(wide / wide.std(axis=-1, ddof=1, keepdims=True), -10, 10).astype(np.float32)


@pytest.mark.parametrize("exponent", [-310, -300, -38, -30, -13, 0, 15, 19, 20, 30, 38, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_z_score_is_right_at_any_scale(exponent, dtype):
    if dtype == np.float32 and not -38 <= exponent <= 37:
        pytest.skip("beyond float32")
    noise = np.random.default_rng(0).normal(size=(3, 500)).cumsum(axis=1)
    scaled = (noise / np.abs(noise).max() * 10.0**exponent).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, varies = z_score(scaled)
    assert varies.all()
    np.testing.assert_allclose(found, plain_z_score(scaled), atol=3e-6)


def test_a_power_of_two_changes_no_bit():
    noise = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32)
    wanted = z_score(noise)[0]
    for exponent in (-100, -60, -20, 20, 60, 120):
        np.testing.assert_array_equal(z_score(np.ldexp(noise, exponent))[0], wanted)


@pytest.mark.parametrize("offset", [0, 1e4, 1e6, 1e9])
def test_a_z_score_of_float64_keeps_what_an_offset_hides_from_float32(offset):
    found, varies = z_score(SIGNAL + offset)
    assert varies.all()
    np.testing.assert_allclose(found, z_score(SIGNAL)[0], atol=1e-5 * max(1, offset / 1e6))
    assert z_score((SIGNAL + 1e8).astype(np.float32))[1].tolist() == [False] * 3


def test_z_score_has_mean_0_and_unbiased_deviation_1_and_knows_flat_channels():
    signal = np.stack([np.random.default_rng(0).normal(3, 7, 500), np.full(500, 0.1)])
    normal, varies = z_score(signal)
    assert varies.tolist() == [True, False]
    assert abs(normal[0].mean()) < 1e-6
    assert normal[0].std(ddof=1) == pytest.approx(1, abs=1e-5)
    assert not normal[1].any()


def test_z_score_clips_an_artifact_at_10_deviations():
    signal = np.zeros((1, 1000))
    signal[0, 0], signal[0, 1] = 1e6, 1e-3
    assert z_score(signal)[0].max() == 10


def z_scores_of_copies(rows):
    out = np.empty(rows.shape, np.float32)
    return out, z_score_ordinary_rows(rows.astype(np.float64), out)


@pytest.mark.parametrize("length", [2, 129, 1000, 8192, 8193, 20_000])
def test_z_scores_of_copies_in_float64_have_the_bits_of_z_score(length):
    """Also where the sum of a long row is rounded, so that its order matters."""
    rng = np.random.default_rng(length)
    wide = rng.normal(size=(7, length)) * 10.0 ** rng.uniform(-11, 3, size=(7, length))
    special = [np.zeros(length), np.full(length, 0.1), 1e4 + 1e-3 * rng.normal(size=length)]
    rows = np.concatenate([wide, special]).astype(np.float32)
    buffer = np.getbufsize()
    found, varies = z_scores_of_copies(rows)
    assert np.getbufsize() == buffer
    wanted, wanted_varies = z_score(rows)
    np.testing.assert_array_equal(found, wanted)
    assert varies.tolist() == wanted_varies.tolist() == [True] * 7 + [False] * 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e16])
def test_copies_that_are_not_ordinary_are_not_normalized(value):
    rows = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    rows[1, 7] = value
    assert z_scores_of_copies(rows)[1] is None
    assert z_scores_of_copies(rows[2:] * np.float32(1e-14))[1] is None
