"""Laws of what feeds the model: resampling, normalising, windows, splits and batches."""

import numpy as np
import pytest

from physio_mae_jax.data.pipeline import LoaderConfig, training_batches, validation_batches
from physio_mae_jax.data.splits import split_by_subject
from physio_mae_jax.data.windows import WindowConfig, WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.signals.preprocess import RateChange, resample, z_score
from tests.factories import ArraySource


def _recordings(lengths, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(channels, length)).cumsum(axis=1) for length in lengths]


def _reader(arrays, channels=("II", "PPG"), wanted=("II", "PPG"), rate=100.0, samples=100, **kw):
    window = WindowConfig(channels=wanted, sampling_rate_hz=100.0, num_samples=samples)
    return WindowReader(ArraySource(arrays, channels, rate, **kw), window)


@pytest.mark.parametrize("rate", [125.0, 250.0, 500.0, 128.0, 173.61, 64.0])
def test_resampling_a_crop_is_cropping_the_resampled(rate):
    (signal,) = _recordings([round(rate * 20)])
    change = RateChange.between(rate, 100.0)
    whole = resample(signal, change)
    for start in (0, 1, 333, 777, 1500):
        first, last, offset = change.source_span(start, 400, signal.shape[1])
        crop = resample(signal[:, first:last], change)[:, offset : offset + 400]
        np.testing.assert_allclose(crop, whole[:, start : start + 400], atol=1e-4)


@pytest.mark.parametrize("rate", [125.0, 250.0, 500.0])
def test_resampling_keeps_a_sine_and_its_time(rate):
    time = np.arange(round(rate * 10)) / rate
    ours = resample(np.sin(2 * np.pi * 7 * time)[None], RateChange.between(rate, 100.0))[0]
    expected = np.sin(2 * np.pi * 7 * np.arange(len(ours)) / 100)
    np.testing.assert_allclose(ours[50:-50], expected[50:-50], atol=5e-3)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    time = np.arange(5000) / 500
    ours = resample(np.sin(2 * np.pi * 80 * time)[None], RateChange.between(500.0, 100.0))[0]
    assert np.abs(ours[50:-50]).max() < 0.05


def test_z_score_has_mean_0_and_unbiased_deviation_1_and_knows_flat_channels():
    signal = np.stack([np.random.default_rng(0).normal(3, 7, 500), np.full(500, 0.1)])
    normal, varies = z_score(signal)
    assert varies.tolist() == [True, False]
    assert abs(normal[0].mean()) < 1e-6
    assert normal[0].std(ddof=1) == pytest.approx(1, abs=1e-5)
    assert not normal[1].any()


def test_z_score_clips_an_artefact_at_10_deviations():
    signal = np.zeros((1, 1000))
    signal[0, 0], signal[0, 1] = 1e6, 1e-3
    assert z_score(signal)[0].max() == 10


def test_window_orders_channels_and_marks_the_missing_one_absent():
    (signal,) = _recordings([300])
    example = _reader([signal], wanted=("PPG", "V1", "II")).read(0, 40)
    assert example["channel_mask"].tolist() == [True, False, True]
    np.testing.assert_allclose(example["signal"][0], z_score(signal[1:, 40:140])[0][0], atol=1e-5)
    assert not example["signal"][1].any()


def test_nan_in_a_window_names_recording_channel_and_time():
    (signal,) = _recordings([300])
    signal[1, 150] = np.nan
    reader = _reader([signal])
    with pytest.raises(DataError, match=r"'record0'.*'PPG' at 1\.500 s"):
        reader.read(0, 100)
    reader.read(0, 0)


def test_short_recording_is_refused_with_both_lengths():
    with pytest.raises(DataError, match=r"lasts 0\.99 s, less than the window of 1\.00 s"):
        _reader(_recordings([99])).num_starts(0)


def test_every_start_comes_up_and_long_recordings_more_often():
    reader = _reader(_recordings([103, 520]))
    batches = training_batches(reader, [0, 1], LoaderConfig(batch_size=4, seed=0, num_threads=1))
    starts = {0: [], 1: []}
    for _ in range(150):
        batch = next(batches)
        for recording, start in zip(batch["recording"], batch["start"], strict=True):
            starts[int(recording)].append(int(start))
    assert set(starts[0]) == {0, 1, 2, 3}
    assert min(starts[1]) < 10
    assert max(starts[1]) > 410
    assert len(starts[1]) / len(starts[0]) == pytest.approx(5, rel=0.3)


def test_two_processes_together_make_the_batch_of_one():
    reader = _reader(_recordings([700, 700, 700]))

    def batches(index, count):
        config = LoaderConfig(
            batch_size=4, seed=3, num_threads=2, process_index=index, process_count=count
        )
        iterator = training_batches(reader, [0, 1, 2], config)
        return [next(iterator) for _ in range(10)]

    for whole, first, second in zip(batches(0, 1), batches(0, 2), batches(1, 2), strict=True):
        np.testing.assert_array_equal(whole["signal"][0::2], first["signal"])
        np.testing.assert_array_equal(whole["signal"][1::2], second["signal"])


def test_iterator_state_goes_on_with_the_same_batches():
    reader = _reader(_recordings([700, 700]))
    config = LoaderConfig(batch_size=4, seed=3, num_threads=2)
    first = training_batches(reader, [0, 1], config)
    for _ in range(7):
        next(first)
    second = training_batches(reader, [0, 1], config)
    second.set_state(first.get_state())
    for _ in range(5):
        np.testing.assert_array_equal(next(first)["signal"], next(second)["signal"])


def test_validation_reads_each_window_once_and_weighs_the_filling_0():
    reader = _reader(_recordings([350, 220]))
    config = LoaderConfig(batch_size=4, seed=0, num_threads=1)
    batches = validation_batches(reader, [0, 1], config, max_windows=100)
    weight = np.concatenate([batch["weight"] for batch in batches])
    places = [
        (int(r), int(s))
        for batch in batches
        for r, s, w in zip(batch["recording"], batch["start"], batch["weight"], strict=True)
        if w
    ]
    assert sorted(places) == [(0, 0), (0, 100), (0, 200), (1, 0), (1, 100)]
    assert weight.tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_no_subject_is_on_both_sides():
    subjects = [f"s{i // 3}" for i in range(60)]
    source = ArraySource(_recordings([10] * 60), ("II", "PPG"), subjects=subjects)
    for seed in range(5):
        training, held_out = split_by_subject(source.recordings, range(60), 0.2, seed)
        ours = {subjects[i] for i in training}
        theirs = {subjects[i] for i in held_out}
        assert not ours & theirs
        assert len(theirs) == 4
        assert sorted([*training, *held_out]) == list(range(60))


def test_one_subject_alone_cannot_be_split():
    source = ArraySource(_recordings([10, 10]), ("II", "PPG"), subjects=["a", "a"])
    with pytest.raises(DataError, match=r"1 subject \(a\)"):
        split_by_subject(source.recordings, [0, 1], 0.1, 0)


def test_batch_must_divide_over_processes():
    with pytest.raises(ConfigError, match="multiple of the 3 processes"):
        LoaderConfig(batch_size=4, seed=0, process_count=3)


def test_tempo_plays_all_channels_faster_alike():
    time = np.arange(2_000) / 100
    source = ArraySource(
        [np.stack([np.sin(2 * np.pi * time), np.cos(2 * np.pi * time)])], ("I", "II")
    )
    window = WindowConfig(channels=("I", "II"), sampling_rate_hz=100.0, num_samples=400)
    reader = WindowReader(source, window)
    assert reader.num_starts(0, 2.0) == 1_000 - 400 + 1
    faster = reader.read(0, 100, 2.0)
    assert faster["start"] == 200
    inner = slice(20, 380)
    wanted = np.sin(2 * np.pi * 2 * np.arange(100, 500) / 100)
    assert np.corrcoef(faster["signal"][0, inner], wanted[inner])[0, 1] > 0.999
    slower = reader.read(0, 0, 0.5)["signal"]
    assert np.corrcoef(slower[1, inner], np.cos(np.pi * np.arange(400) / 100)[inner])[0, 1] > 0.999


def test_tempos_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"data\.tempo_range is \(1\.2, 1\.5\)"):
        LoaderConfig(batch_size=4, seed=0, tempo_range=(1.2, 1.5))
