"""Laws of what feeds the model: resampling, normalizing, windows, splits and batches."""

import dataclasses
import itertools

import numpy as np
import pytest

from physio_mae_jax.data.pipeline import (
    InfiniteShuffle,
    LoaderConfig,
    training_batches,
    validation_batches,
)
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_starts import window_starts
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.signals.augment import AugmentConfig, augment
from physio_mae_jax.signals.channels import channel_id
from physio_mae_jax.signals.preprocess import BandPass, Resampler, resample, z_score
from tests.factories import ArraySource


def _recordings(lengths, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(channels, length)).cumsum(axis=1) for length in lengths]


def _reader(arrays, channels=("II", "PPG"), wanted="II,PPG", rate=100.0, samples=100, **kw):
    window = WindowConfig(
        channels=wanted,
        num_channels=len(wanted.split(",")),
        sampling_rate_hz=100.0,
        num_samples=samples,
    )
    return WindowReader(ArraySource(arrays, channels, rate, **kw), window)


@pytest.mark.parametrize("rate", [125.0, 250.0, 500.0, 128.0, 173.61, 64.0])
def test_resampling_a_crop_is_cropping_the_resampled(rate):
    (signal,) = _recordings([round(rate * 20)])
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


def test_window_orders_channels_and_marks_the_missing_one_absent():
    (signal,) = _recordings([300])
    example = _reader([signal], wanted="PPG,V1,II").read(0, 40)
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


def test_short_recording_is_rejected_with_both_lengths():
    with pytest.raises(DataError, match=r"lasts 0\.99 s, less than the window of 1\.00 s"):
        _reader(_recordings([99])).starts(0)


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
        both = np.concatenate([first["signal"], second["signal"]])
        np.testing.assert_array_equal(whole["signal"], both)


def test_the_order_of_training_does_not_depend_on_the_order_of_asking():
    """Threads that read ahead ask in any order, of small data sets for several epochs at once."""
    slots = np.arange(10, 17)
    in_order = [InfiniteShuffle(slots, 3)[index] for index in range(70)]
    for epoch in range(10):
        assert sorted(in_order[7 * epoch : 7 * epoch + 7]) == slots.tolist()
    assert len({tuple(in_order[7 * epoch : 7 * epoch + 7]) for epoch in range(10)}) > 8
    for seed in range(5):
        asked = InfiniteShuffle(slots, 3)
        order = np.random.default_rng(seed).permutation(70).tolist()
        assert {index: asked[index] for index in order} == dict(enumerate(in_order))


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
    positions = [
        (int(r), int(s))
        for batch in batches
        for r, s, w in zip(batch["recording"], batch["start"], batch["weight"], strict=True)
        if w
    ]
    assert sorted(positions) == [(0, 0), (0, 100), (0, 200), (1, 0), (1, 100)]
    assert weight.tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_batch_must_divide_over_processes():
    with pytest.raises(ConfigError, match="multiple of the 3 processes"):
        LoaderConfig(batch_size=4, seed=0, process_count=3)


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


def test_tempos_out_of_range_are_rejected():
    with pytest.raises(ConfigError, match=r"speed_perturbation must be .* got \(1\.2, 1\.5\)"):
        LoaderConfig(batch_size=4, seed=0, speed_perturbation=(1.2, 1.5))


@pytest.mark.parametrize("rate", [100.0, 250.0, 64.0, 173.61])
def test_windows_begin_wherever_no_gap_reaches_and_nowhere_else(rate):
    """Against the plain rule: a start is good if what it reads holds no missing sample."""
    change, length, total = Resampler.between(rate, 100.0), 50, round(rate * 9)
    rng = np.random.default_rng(int(rate))
    gaps = [(int(a), int(a + rng.integers(1, 40))) for a in rng.integers(0, total - 40, 2)]
    gap = np.zeros(total, bool)
    for start, stop in gaps:
        gap[start:stop] = True
    good = []
    for start in range(change.length_after(total) - length + 1):
        first, last, _ = change.source_span(start, length, total)
        if not gap[first:last].any():
            good.append(start)
    starts = window_starts(total, gaps, change, length)
    assert [starts[i] for i in range(len(starts))] == good
    ends = starts.end_to_end(length)
    assert set(ends) <= set(good)
    assert all(b - a >= length for a, b in itertools.pairwise(ends))


def test_windows_keep_clear_of_gaps_of_wanted_channels_only():
    (signal,) = _recordings([1_000])
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
    (signal,) = _recordings([6_000])
    source = ArraySource([signal], ("II", "PPG"))
    settings = {"channels": "II,PPG", "num_channels": 2, "sampling_rate_hz": 100.0}
    reader = WindowReader(source, WindowConfig(**settings, num_samples=500, band_hz=(0.5, 40.0)))
    whole = BandPass(0.5, 40.0, 100.0).apply(signal.astype(np.float32))
    for start in (0, 2_000, 5_500):
        expected, _ = z_score(whole[:, start : start + 500])
        difference = reader.read(0, start)["signal"] - expected
        assert np.abs(difference).max() < 0.02


def test_recordings_with_fewer_channels_are_padded_with_absent_ones():
    one, two = _recordings([300], channels=1), _recordings([300], channels=2)
    joined = ConcatSource([ArraySource(one, ("PPG",)), ArraySource(two, ("I", "V1"))], [[0], [0]])
    window = WindowConfig(channels="", num_channels=2, sampling_rate_hz=100.0, num_samples=100)
    reader = WindowReader(joined, window)
    assert reader.read(0, 0)["channel_mask"].tolist() == [True, False]
    assert reader.read(0, 0)["channel_ids"].tolist() == [channel_id("PPG"), 0]
    assert reader.read(1, 0)["channel_ids"].tolist() == [channel_id("I"), channel_id("V1")]


def test_a_mixture_keeps_its_weights_and_its_order_over_processes():
    rng = np.random.default_rng(0)
    sources = [ArraySource([rng.normal(size=(1, 900)) for _ in range(n)], ("I",)) for n in (6, 2)]
    for source, name in zip(sources, "ab", strict=True):
        source.recordings = [dataclasses.replace(r, data_set=name) for r in source.recordings]
    joined = ConcatSource(sources, [range(6), range(2)])
    window = WindowConfig(channels="I", num_channels=1, sampling_rate_hz=100.0, num_samples=100)
    reader = WindowReader(joined, window)

    def batches(index, count, number=60):
        config = LoaderConfig(
            batch_size=4,
            seed=1,
            num_threads=2,
            set_weights={"a": 1.0, "b": 3.0},
            process_index=index,
            process_count=count,
        )
        iterator = training_batches(reader, range(8), config)
        return [next(iterator) for _ in range(number)]

    recordings = np.concatenate([batch["recording"] for batch in batches(0, 1)])
    assert (recordings >= 6).mean() == pytest.approx(0.75, abs=0.02)
    for whole, first, second in zip(
        *(batches(*p, 5) for p in ((0, 1), (0, 2), (1, 2))), strict=True
    ):
        both = np.concatenate([first["signal"], second["signal"]])
        np.testing.assert_array_equal(whole["signal"], both)


def test_augmented_windows_stay_normalized_and_follow_from_the_generator_alone():
    signal, _ = z_score(_recordings([500], channels=3)[0])
    present = np.array([True, True, False])
    config = AugmentConfig(
        noise=0.3, baseline_wander=0.5, powerline=0.2, channel_dropout=0.5, time_mask=0.2
    )
    first = augment(signal, present, 250.0, config, np.random.default_rng(4))
    again = augment(signal, present, 250.0, config, np.random.default_rng(4))
    np.testing.assert_array_equal(first[0], again[0])
    for seed in range(30):
        changed, left = augment(signal, present, 250.0, config, np.random.default_rng(seed))
        assert left.any()
        assert not left[2]
        assert not changed[~left].any()
        np.testing.assert_allclose(changed[left].std(axis=1, ddof=1), 1.0, atol=1e-4)


def test_added_noise_is_white_normal_and_another_one_in_every_window_and_channel():
    time = np.arange(2000) / 100
    signal, present = z_score(np.sin(2 * np.pi * time) * np.ones((4, 1)))
    config = AugmentConfig(noise=0.5)
    noises = []
    for seed in range(20):
        changed, _ = augment(signal, present, 100.0, config, np.random.default_rng(seed))
        # What is left of each channel after the signal is taken out by least squares.
        share = (changed * signal).sum(axis=1) / (signal * signal).sum(axis=1)
        noises.append(z_score(changed - share[:, None] * signal)[0])
    rows = np.concatenate(noises)
    group_similar_names = rows @ rows.T / rows.shape[1]
    assert np.abs(group_similar_names - np.eye(len(rows))).max() < 0.12  # five standard errors
    spectrum = (np.abs(np.fft.rfft(rows)) ** 2).mean(axis=0)[1:-1]
    halves = spectrum[: len(spectrum) // 2].mean() / spectrum[len(spectrum) // 2 :].mean()
    assert halves == pytest.approx(1, abs=0.05)
    assert (rows**4).mean() == pytest.approx(3, abs=0.1)


def test_no_augmentation_changes_nothing():
    assert AugmentConfig().is_off
    with pytest.raises(ConfigError, match=r"data\.augment\.channel_dropout is 1\.5"):
        AugmentConfig(channel_dropout=1.5)
