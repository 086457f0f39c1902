"""Samples read by cached blocks are those of the source, in the cache and beyond it."""

import numpy as np
import pytest

from physio_mae_jax.data.block_cache import BLOCK_SAMPLES, BlockCache
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import DataError
from tests.data.formats import edf_files

LENGTH = 2 * BLOCK_SAMPLES + 5000


class Counted:
    """A folder's source whose reads are counted."""

    def __init__(self, source):
        self._source = source
        self.recordings = source.recordings
        self.spans = []

    def read(self, index, start, stop):
        self.spans.append((index, start, stop))
        return self._source.read(index, start, stop)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two long recordings in one array, and short ones of several rates in EDF."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        np.savez(
            folder / f"{name}.npz",
            signal=rng.normal(size=(2, LENGTH)).astype(np.float32),
            channels=np.array(["II", "PPG"]),
            sampling_rate_hz=np.array(250.0),
        )
    return open_folder(folder)


def spans(length, count=60):
    rng = np.random.default_rng(1)
    edges = [0, BLOCK_SAMPLES, 2 * BLOCK_SAMPLES]
    for _ in range(count):
        size = int(rng.integers(0, 4000))
        near = int(rng.choice(edges)) - 2000 + int(rng.integers(4000))
        start = int(np.clip(near, 0, length - size))
        yield start, start + size


@pytest.mark.parametrize("mebibytes", [0, 1, 64])
def test_every_span_has_the_values_of_the_source(source, mebibytes):
    cached = BlockCache(source, SampleCache(mebibytes * 2**20), "long")
    for start, stop in [*spans(LENGTH), (0, LENGTH), (LENGTH, LENGTH)]:
        for index in (0, 1):
            ours, theirs = cached.read(index, start, stop), source.read(index, start, stop)
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


def test_a_block_is_read_once_while_the_cache_has_room(source):
    counted = Counted(source)
    cached = BlockCache(counted, SampleCache(2 * 4 * 2 * BLOCK_SAMPLES), "long")
    for start in (0, 10_000, 60_000, 66_000):
        cached.read(0, start, start + 2000)
    assert counted.spans == [(0, 0, BLOCK_SAMPLES), (0, BLOCK_SAMPLES, 2 * BLOCK_SAMPLES)]
    cached.read(1, 500, 900)  # no room is left
    assert counted.spans[-1] == (1, 500, 900)


def test_samples_outside_a_recording_are_rejected_from_a_cached_block_too(source):
    cached = BlockCache(source, SampleCache(2**26), "long")
    cached.read(0, LENGTH - 2000, LENGTH)
    for start, stop in ((LENGTH - 100, LENGTH + 1), (-1, 10), (20, 10)):
        with pytest.raises(DataError, match="were requested"):
            cached.read(0, start, stop)


def test_channels_of_several_rates_are_the_same_from_blocks(tmp_path):
    channels = [
        edf_files.channel(250, records=400, label="ECG I"),
        edf_files.channel(32, records=400, label="PPG"),
    ]
    source = edf_files.opened(tmp_path, edf_files.edf_bytes(channels))
    joined = ConcatSource([source], [[0]], SampleCache(2**26))
    length = source.recordings[0].num_samples
    assert length > BLOCK_SAMPLES
    for start, stop in spans(length):
        np.testing.assert_array_equal(joined.read(0, start, stop), source.read(0, start, stop))
