"""Batches of windows: their order, their division over processes and their state."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.data.pipeline import (
    InfiniteShuffle,
    LoaderConfig,
    training_batches,
    validation_batches,
)
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError
from tests.factories import ArraySource
from tests.window_readers import random_recordings, window_reader


def test_every_start_comes_up_and_long_recordings_more_often():
    reader = window_reader(random_recordings([103, 520]))
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


def test_batches_that_are_kept_in_any_form_do_not_change():
    reader = window_reader(random_recordings([700, 700, 700]))
    config = LoaderConfig(batch_size=4, seed=3, num_threads=2)
    whole = [
        next(batches)["signal"]
        for batches in [training_batches(reader, [0, 1, 2], config)]
        for _ in range(100)
    ]
    batches = training_batches(reader, [0, 1, 2], config)
    on_device = [jnp.asarray(next(batches)["signal"]) for _ in range(50)]
    views = [next(batches)["signal"][1:, :, ::3] for _ in range(50)]
    np.testing.assert_array_equal(on_device, whole[:50])
    np.testing.assert_array_equal(views, np.stack(whole[50:])[:, 1:, :, ::3])


def test_two_processes_together_make_the_batch_of_one():
    reader = window_reader(random_recordings([700, 700, 700]))

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
    reader = window_reader(random_recordings([700, 700]))
    config = LoaderConfig(batch_size=4, seed=3, num_threads=2)
    first = training_batches(reader, [0, 1], config)
    for _ in range(7):
        next(first)
    second = training_batches(reader, [0, 1], config)
    second.set_state(first.get_state())
    for _ in range(5):
        np.testing.assert_array_equal(next(first)["signal"], next(second)["signal"])


def test_validation_reads_each_window_once_and_weighs_the_filling_0():
    reader = window_reader(random_recordings([350, 220]))
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


def test_tempos_out_of_range_are_rejected():
    with pytest.raises(ConfigError, match=r"speed_perturbation must be .* got \(1\.2, 1\.5\)"):
        LoaderConfig(batch_size=4, seed=0, speed_perturbation=(1.2, 1.5))


def mixture(*counts):
    rng = np.random.default_rng(0)
    sources = [ArraySource([rng.normal(size=(1, 900)) for _ in range(n)], ("I",)) for n in counts]
    for source, name in zip(sources, "ab", strict=True):
        source.recordings = [dataclasses.replace(r, data_set=name) for r in source.recordings]
    joined = ConcatSource(sources, [range(n) for n in counts])
    window = WindowConfig(channels="I", num_channels=1, sampling_rate_hz=100.0, num_samples=100)
    return WindowReader(joined, window)


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 2 / 18), (2.0, 0.2612), (1e6, 0.5)])
def test_a_temperature_flattens_the_shares_of_data_sets(temperature, share):
    config = LoaderConfig(batch_size=4, seed=1, sampling_temperature=temperature)
    iterator = training_batches(mixture(16, 2), range(18), config)
    recordings = np.concatenate([next(iterator)["recording"] for _ in range(90)])
    assert (recordings >= 16).mean() == pytest.approx(share, abs=0.02)


def test_a_mixture_keeps_its_weights_and_its_order_over_processes():
    reader = mixture(6, 2)

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


def test_windows_of_a_recording_stand_together_and_differ():
    config = LoaderConfig(batch_size=12, seed=1, windows_per_recording=4)
    batch = next(training_batches(mixture(16, 2), range(18), config))
    groups = batch["recording"].reshape(3, 4)
    assert (groups == groups[:, :1]).all()
    assert len(set(groups[:, 0].tolist())) > 1
    for group in batch["start"].reshape(3, 4):
        assert len(set(group.tolist())) > 1
    with pytest.raises(ConfigError, match="windows_per_recording=5 does not divide the 12 windows"):
        LoaderConfig(batch_size=12, seed=1, windows_per_recording=5)
