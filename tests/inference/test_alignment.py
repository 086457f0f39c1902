"""Lag of a pulse after its ECG, from an encoder."""

import numpy as np
import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.data.synthetic import CHANNELS, CohortConfig, SyntheticCohort
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.plots.alignment import draw_alignment
from physio_mae_jax.signals.lagged_similarity import lag_steps
from tests.encoders import untrained_contrastive

RATE_HZ = 125.0
ROWS = [CHANNELS.index("PPG"), CHANNELS.index("II")]


@pytest.fixture(scope="module")
def pair():
    config = CohortConfig(num_subjects=1, recordings_per_subject=1, sampling_rate_hz=RATE_HZ)
    return SyntheticCohort(config).read(0, 0, 30 * 125)[ROWS]


@pytest.fixture(scope="module")
def encoder():
    """An encoder of windows of 4 s, in steps of 50 ms, that tells no channels apart."""
    settings = {"readout": "aligned", "view": "whole"}
    blind = untrained_contrastive(("PPG", "II"), model={"channel_embedding": False}, **settings)
    return Encoder(blind, batch_size=16, num_devices=1)


def test_a_model_gives_a_lag_of_its_range_where_both_signals_are(encoder, pair):
    ppg, ecg = pair.astype(np.float64)
    ppg[1400:1500] = np.nan  # 11.2 to 12 s
    found = encoder.align(ppg, ecg, sampling_rate_hz=RATE_HZ, step_seconds=2.0)
    starts = found.times_seconds - 2.0
    assert starts.tolist() == [2.0 * i for i in range(14)]
    gap = (starts < 12.0) & (starts + 4.0 > 11.2)
    assert np.isnan(found.lag_seconds[gap]).all()
    assert not found.confidence[gap].any()
    far = (starts + 4.0 < 11.0) | (starts > 12.2)  # resampling reads a little further
    lags = np.array(lag_steps((0.08, 0.7), 0.05)) * 0.05
    assert (found.lag_seconds[far] >= lags.min()).all()
    assert (found.lag_seconds[far] <= lags.max()).all()
    assert (found.confidence <= 1).all()


def test_one_signal_as_both_aligns_at_the_shift(encoder, pair):
    """Whatever its weights, a model that sees a shifted copy finds the copy at the shift."""
    ecg = pair[1].astype(np.float64)
    late = np.concatenate([np.full(50, ecg[0]), ecg])[: len(ecg)]  # 0.4 s: two whole columns
    found = encoder.align(late, ecg, sampling_rate_hz=RATE_HZ)
    assert np.abs(found.lag_seconds[1:] - 0.4).max() < 0.05
    moved = encoder.align(late, ecg, sampling_rate_hz=RATE_HZ, offset_seconds=-0.1)
    np.testing.assert_allclose(moved.lag_seconds, found.lag_seconds - 0.1)


def test_peaks_need_no_aligned_model_and_are_drawn(pair, tmp_path):
    ppg, ecg = pair
    plain = Encoder(untrained_contrastive(), batch_size=16, num_devices=1)
    found = plain.align(ppg, ecg, sampling_rate_hz=RATE_HZ, method="peaks")
    assert found.window_seconds == 4.0
    assert np.ptp(found.lag_seconds) < 0.03
    draw_alignment(found, ppg, ecg, RATE_HZ).savefig(tmp_path / "lag.png")
    assert (tmp_path / "lag.png").stat().st_size > 1000
    with pytest.raises(ConfigError, match="or method='peaks'"):
        plain.align(ppg, ecg, sampling_rate_hz=RATE_HZ)


def test_wrong_arguments_are_reported(encoder, pair):
    ppg, ecg = pair
    with pytest.raises(ConfigError, match="method must be one of model, peaks"):
        encoder.align(ppg, ecg, sampling_rate_hz=RATE_HZ, method="peak")
    with pytest.raises(ConfigError, match=r"offset_seconds=0\.1 corrects the lags of a model"):
        encoder.align(ppg, ecg, sampling_rate_hz=RATE_HZ, method="peaks", offset_seconds=0.1)
    with pytest.raises(DataError, match="of the same length"):
        encoder.align(ppg[:-1], ecg, sampling_rate_hz=RATE_HZ)
    with pytest.raises(DataError, match="beats need 25 Hz"):
        encoder.align(ppg, ecg, sampling_rate_hz=10.0)
