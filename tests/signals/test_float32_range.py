"""Embeddings do not depend on the unit or the offset of a signal, however large or small."""

import warnings

import numpy as np
import pytest
from jax import export

from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.export import export_encoder
from physio_mae_jax.signals.float32_range import (
    as_float,
    exponents,
    scale_to_float32,
    surely_ordinary,
)
from physio_mae_jax.signals.preprocess import z_score
from physio_mae_jax.signals.quality import find_artifacts, heart_rate_bpm
from tests.encoders import beats, cosine, encoder, untrained
from tests.factories import ArraySource

LEADS = ["I", "II", "V1"]
GIVEN = {"sampling_rate_hz": 100, "channels": LEADS}
SIGNAL, OTHER = beats(5, 100), beats(5, 100, seed=1)
COUNTS = np.round(SIGNAL * 1000).astype(np.int64)
ALIKE = 0.99999


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.fixture(scope="module")
def wanted(made):
    return made.encode(SIGNAL, **GIVEN)


@pytest.mark.parametrize("exponent", [-310, -300, -45, -38, -20, 10, 18, 19, 20, 38, 300])
def test_embeddings_are_those_of_another_unit(made, wanted, exponent):
    scale = 10.0**exponent
    found, report = made.encode_with_report(SIGNAL * scale, **GIVEN)
    assert cosine(found, wanted) > ALIKE
    assert not report.of("masked")
    other = made.encode(OTHER * scale, **GIVEN)
    assert cosine(other, made.encode(OTHER, **GIVEN)) > ALIKE
    assert cosine(other, found) < 0.999
    if -38 <= exponent <= 38:
        assert cosine(made.encode((SIGNAL * scale).astype(np.float32), **GIVEN), wanted) > ALIKE


@pytest.mark.parametrize("offset", [1e4, 1e6, 1e8, 1e10])
def test_embeddings_are_those_without_an_offset(made, wanted, offset):
    assert cosine(made.encode(SIGNAL + offset, **GIVEN), wanted) > ALIKE
    one = SIGNAL + np.array([[0], [offset], [0]])
    assert cosine(made.encode(one * 1e-200, **GIVEN), wanted) > ALIKE


@pytest.mark.parametrize("offset", [0, 2**31, 2**53, 2**62, -(2**63) + 5000, 2**63 - 5000], ids=str)
def test_integers_at_the_ends_of_their_range_are_read_exactly(made, wanted, offset):
    for said in ({"units": "adu"}, {"gain": 1000}):
        assert cosine(made.encode(COUNTS + offset, **said, **GIVEN), wanted) > ALIKE
    if offset >= 5000:
        unsigned = COUNTS.astype(np.uint64) + np.uint64(offset)
        assert cosine(made.encode(unsigned, units="adu", **GIVEN), wanted) > ALIKE


def test_both_ends_of_the_integers_in_one_recording(made):
    square = np.where(SIGNAL > 0.3, 2**63 - 1, -(2**63)).astype(np.int64)
    plain = made.encode(np.where(SIGNAL > 0.3, 1.0, -1.0), **GIVEN)
    assert cosine(made.encode(square, units="adu", **GIVEN), plain) > ALIKE


def test_channels_of_very_different_size_do_not_hide_each_other(made, wanted):
    mixed = SIGNAL * np.array([[1e30], [1e-30], [1.0]])
    for signal in (mixed, mixed.astype(np.float32)):
        assert cosine(made.encode(signal, **GIVEN), wanted) > ALIKE


@pytest.mark.parametrize("scale", [1e-35, 1e20, 3e38, 1e300])
def test_derived_leads_and_other_rates_stay_right(made, scale):
    given = {"channels": ["I", "II"], "derive_leads": True}
    for rate_hz in (100, 250):
        signal = beats(5, rate_hz, leads=2)
        found = made.encode(signal * scale, sampling_rate_hz=rate_hz, **given)
        plain = made.encode(signal, sampling_rate_hz=rate_hz, **given)
        assert cosine(found, plain) > ALIKE


def test_ordinary_windows_are_left_as_they_are_to_the_last_bit():
    signal = SIGNAL.astype(np.float32)
    assert scale_to_float32(signal, signal.dtype) is signal
    np.testing.assert_array_equal(as_float(SIGNAL), signal)
    np.testing.assert_array_equal(as_float(COUNTS), COUNTS.astype(np.float32))


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e20, 3e38])
@pytest.mark.parametrize("band_hz", [None, (0.5, 40.0)])
def test_windows_for_training_are_those_of_another_unit(scale, band_hz):
    """Files hold float32, and training sees what a reader makes of them."""

    def window(signal):
        config = WindowConfig(
            channels="I,II,V1",
            num_channels=3,
            sampling_rate_hz=100.0,
            num_samples=400,
            band_hz=band_hz,
        )
        source = ArraySource([signal.astype(np.float32)], ("I", "II", "V1"), 250.0)
        return WindowReader(source, config).read(0, 10)

    signal = beats(6, 250) / np.abs(beats(6, 250)).max()
    found, plain = window(signal * scale), window(signal)
    assert found["channel_mask"].all()
    np.testing.assert_allclose(found["signal"], plain["signal"], atol=1e-4)


@pytest.mark.parametrize(
    "signal",
    [
        (SIGNAL + 1e8).astype(np.float32),
        SIGNAL + 1e14,
        np.full((3, 500), 0.1),
        np.full((3, 500), 2.0**70),
        (SIGNAL * 1e-44).astype(np.float32),
    ],
)
def test_what_cannot_be_told_is_said_to_be_an_offset(made, signal):
    with pytest.raises(DataError, match=r"ever varies .* by less than a millionth of its offset"):
        made.encode(signal, **GIVEN)


def test_an_exported_program_agrees_with_the_encoder(made, tmp_path):
    trained = untrained()
    path = export_encoder(trained, tmp_path / "encoder.bin", num_channels=3, platforms=["cpu"])
    program = export.deserialize(bytearray(path.read_bytes()))
    ids = np.asarray([[1, 2, 7]], np.int32)
    rows = []
    for scale in (1.0, 1e20, 1e-300):
        signal, varies = z_score(beats(4, 100) * scale)
        rows.append(np.asarray(program.call(signal[None], varies[None], ids)))
        own = made.encode(beats(4, 100) * scale, **GIVEN)
        np.testing.assert_allclose(rows[-1], own, atol=1e-4)
    assert cosine(rows[0], rows[1]) > ALIKE
    assert cosine(rows[0], rows[2]) > ALIKE


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e20, 3e38])
def test_the_heart_rate_is_found_at_any_scale(scale):
    signal = beats(20, 250, leads=1)
    values = (signal / np.abs(signal).max() * scale).astype(np.float32)
    assert heart_rate_bpm(values[0].astype(np.float64), "ECG", 250.0) == pytest.approx(72, abs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = find_artifacts(values, ["II"], [""], 250.0)
    assert not [finding for finding in found if finding.kind == "implausible heart rate"]


@pytest.mark.parametrize("length", [2, 50, 5000])
def test_rows_that_are_surely_ordinary_need_no_exponent(length):
    rng = np.random.default_rng(length)
    scales = 10.0 ** np.repeat(np.arange(-18, 19), 3)[:, None]
    rows = (scales * (rng.normal(size=(111, length)) + rng.integers(3, size=(111, 1)))).astype("f4")
    with np.errstate(over="ignore"):  # squares beyond float32
        std = rows.std(axis=-1, ddof=1)
    offset = np.abs(rows.mean(axis=-1, dtype=np.float64))
    ordinary, bound = surely_ordinary(offset, std.astype(np.float64), length)
    largest = np.abs(rows).max(axis=-1).astype(np.float64)
    assert exponents(largest[ordinary]) is None
    assert (largest <= bound)[ordinary].all()
    middle = (largest > 1e-10) & (largest < 1e12)
    assert ordinary[middle & (std > 0)].all()
