"""Samples kept in memory: the same windows with and without, within a bound, decoded once."""

import dataclasses
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from configs.pretrain import get_config
from physio_mae_jax.data.opening import DataConfig, open_data
from physio_mae_jax.data.pipeline import LoaderConfig, training_batches
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.typed_config import to_dataclass
from tests.prepared import waves


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    waves(root, subjects=4)
    return root


@pytest.fixture
def decoded(monkeypatch):
    """Examples in the order they are decoded in, by this thread.

    Threads that read ahead for an earlier test may not have ended yet.
    """
    decode, examples, here = PreparedSource._decode, [], threading.get_ident()

    def counted(self, record, example):
        if threading.get_ident() == here:
            examples.append(example)
        return decode(self, record, example)

    monkeypatch.setattr(PreparedSource, "_decode", counted)
    return examples


def settings_of(root, **changes):
    config = get_config("preset=tiny")
    config.data.sets, config.data.root = "waves", str(root)
    config.data.channels, config.data.split_rule = "II,PPG", "random=||"
    return dataclasses.replace(to_dataclass(DataConfig, "data", config.data), **changes)


def batches_of(root, num_threads, **changes):
    opened = open_data(settings_of(root, **changes), 50.0, 150, progress=False)
    loader = LoaderConfig(batch_size=4, seed=3, num_threads=num_threads)
    batches = training_batches(opened.reader, opened.splits["train"], loader)
    return [next(batches) for _ in range(30)]


@pytest.mark.parametrize("num_threads", [0, 3])
def test_windows_are_the_same_with_a_cache_without_one_and_with_a_full_one(
    root, monkeypatch, num_threads
):
    expected = batches_of(root, num_threads, cache_mib=0)
    kept = batches_of(root, num_threads)
    size = PreparedSource(next((root / "waves").iterdir())).read(0, 0, 600).nbytes
    monkeypatch.setattr(
        "physio_mae_jax.data.opening.SampleCache", lambda num_bytes: SampleCache(3 * size)
    )
    some_kept = batches_of(root, num_threads)
    for batches in (kept, some_kept):
        for one, other in zip(expected, batches, strict=True):
            for name, values in one.items():
                np.testing.assert_array_equal(other[name], values)


def test_a_recording_is_decoded_once_where_it_is_kept_and_at_every_reading_where_not(root, decoded):
    batches_of(root, 0)
    assert sorted(decoded) == list(range(8))
    decoded.clear()
    batches_of(root, 0, cache_mib=0)
    assert len(decoded) == 30 * 4


def test_two_data_sets_in_one_cache_are_not_mixed_up(root, tmp_path):
    folders = [next((root / "waves").iterdir()), waves(tmp_path, "others", subjects=2, seconds=9)]
    cache = SampleCache(2**20)
    for _ in range(2):
        for folder in folders:
            expected = PreparedSource(folder).read(1, 100, 300)
            np.testing.assert_array_equal(PreparedSource(folder, cache).read(1, 100, 300), expected)


def test_the_bound_holds_and_what_came_first_stays():
    samples = np.arange(100, dtype=np.float32)
    cache = SampleCache(10 * samples.nbytes + 1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: cache.add(("set", i % 20), samples + i % 20), range(2000)))
    kept = {i: cache.get(("set", i)) for i in range(20)}
    kept = {i: values for i, values in kept.items() if values is not None}
    assert len(kept) == 10
    assert cache.used_bytes == 10 * samples.nbytes
    for i, values in kept.items():
        np.testing.assert_array_equal(values, samples + i)


def test_kept_samples_are_copies_that_nobody_can_change():
    given = np.ones((2, 5), np.float32)
    cache = SampleCache(1000)
    cache.add(("set", 0), given)
    given[:] = 7
    assert (cache.get(("set", 0)) == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        cache.get(("set", 0))[0, 0] = 7


def test_a_pickled_copy_begins_empty_and_has_the_same_bound():
    cache = SampleCache(40)
    cache.add(("set", 0), np.ones(10, np.float32))
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.get(("set", 0)), copy.used_bytes) == (None, 0)
    copy.add(("set", 1), np.ones(11, np.float32))
    assert copy.get(("set", 1)) is None
    copy.add(("set", 1), np.ones(10, np.float32))
    assert copy.used_bytes == 40


def test_a_negative_bound_is_rejected(root):
    with pytest.raises(ConfigError, match=r"data\.cache_mib is -1; .*integer from 0"):
        settings_of(root, cache_mib=-1)
