"""Windows of recordings: their channels, their gaps and their errors."""

import dataclasses

import numpy as np
import pytest

from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import channel_id
from physio_mae_jax.signals.preprocess import BandPass, z_score
from tests.factories import ArraySource
from tests.window_readers import random_recordings, window_reader


def test_window_orders_channels_and_marks_the_missing_one_absent():
    (signal,) = random_recordings([300])
    example = window_reader([signal], wanted="PPG,V1,II").read(0, 40)
    assert example["channel_mask"].tolist() == [True, False, True]
    np.testing.assert_allclose(example["signal"][0], z_score(signal[1:, 40:140])[0][0], atol=1e-5)
    assert not example["signal"][1].any()


def test_a_batch_of_windows_is_the_single_windows():
    reader = window_reader(random_recordings([300, 500]), wanted="PPG,V1,II")
    windows = [(0, 40, 1.0), (1, 17, 1.0), (1, 12, 1.35), (0, 3, 0.8)]
    batch = reader.read_batch(windows)
    for index, window in enumerate(windows):
        for name, expected in reader.read(*window).items():
            np.testing.assert_array_equal(batch[name][index], expected, err_msg=name)
            assert batch[name].dtype == np.asarray(expected).dtype


def test_nan_in_a_window_names_recording_channel_and_time():
    (signal,) = random_recordings([300])
    signal[1, 150] = np.nan
    reader = window_reader([signal])
    with pytest.raises(DataError, match=r"'record0'.*'PPG' at 1\.500 s"):
        reader.read(0, 100)
    reader.read(0, 0)


def test_short_recording_is_rejected_with_both_lengths():
    with pytest.raises(DataError, match=r"lasts 0\.99 s, less than the window of 1\.00 s"):
        window_reader(random_recordings([99])).starts(0)


def test_tempo_plays_all_channels_faster_alike():
    time = np.arange(2_000) / 100
    source = ArraySource(
        [np.stack([np.sin(2 * np.pi * time), np.cos(2 * np.pi * time)])], ("I", "II")
    )
    window = WindowConfig(channels="I,II", num_channels=2, sampling_rate_hz=100.0, num_samples=400)
    reader = WindowReader(source, window)
    assert len(reader.starts(0, 2.0)) == 1_000 - 400 + 1
    faster = reader.read(0, 100, 2.0)
    assert faster["start"] == 200
    inner = slice(20, 380)
    wanted = np.sin(2 * np.pi * 2 * np.arange(100, 500) / 100)
    assert np.corrcoef(faster["signal"][0, inner], wanted[inner])[0, 1] > 0.999
    slower = reader.read(0, 0, 0.5)["signal"]
    assert np.corrcoef(slower[1, inner], np.cos(np.pi * np.arange(400) / 100)[inner])[0, 1] > 0.999


def test_windows_keep_clear_of_gaps_of_wanted_channels_only():
    (signal,) = random_recordings([1_000])
    signal[1, 400:450] = np.nan
    source = ArraySource([signal], ("II", "PPG"))
    source.recordings[0] = dataclasses.replace(source.recordings[0], gaps=((1, 400, 450),))
    for wanted, count in (("II", 901), ("II,PPG", 301 + 451)):
        window = WindowConfig(
            channels=wanted, num_channels=2, sampling_rate_hz=100.0, num_samples=100
        )
        reader = WindowReader(source, window)
        starts = reader.starts(0)
        assert len(starts) == count
        for number in (0, count // 2, count - 1):
            assert np.isfinite(reader.read(0, starts[number])["signal"]).all()


def test_a_band_pass_of_a_window_is_that_of_the_whole_recording():
    (signal,) = random_recordings([6_000])
    source = ArraySource([signal], ("II", "PPG"))
    settings = {"channels": "II,PPG", "num_channels": 2, "sampling_rate_hz": 100.0}
    reader = WindowReader(source, WindowConfig(**settings, num_samples=500, band_hz=(0.5, 40.0)))
    whole = BandPass(0.5, 40.0, 100.0).apply(signal.astype(np.float32))
    for start in (0, 2_000, 5_500):
        expected, _ = z_score(whole[:, start : start + 500])
        difference = reader.read(0, start)["signal"] - expected
        assert np.abs(difference).max() < 0.02


def test_recordings_with_fewer_channels_are_padded_with_absent_ones():
    one, two = random_recordings([300], channels=1), random_recordings([300], channels=2)
    joined = ConcatSource([ArraySource(one, ("PPG",)), ArraySource(two, ("I", "V1"))], [[0], [0]])
    window = WindowConfig(channels="", num_channels=2, sampling_rate_hz=100.0, num_samples=100)
    reader = WindowReader(joined, window)
    assert reader.read(0, 0)["channel_mask"].tolist() == [True, False]
    assert reader.read(0, 0)["channel_ids"].tolist() == [channel_id("PPG"), 0]
    assert reader.read(1, 0)["channel_ids"].tolist() == [channel_id("I"), channel_id("V1")]
