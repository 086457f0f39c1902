"""What is loaded from files is kept once, within one bound."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats import readers
from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.sets import ConcatSource
from tests.folders import write_csv

LENGTH = 3000
FILE_BYTES = 4 * 2 * LENGTH


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in "abc":
        write_csv(tmp_path / f"{name}.csv", rng.normal(size=(2, LENGTH)))
    return tmp_path


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files in the order they are loaded in."""
    names, load = [], readers.READERS[".csv"].load

    def counted(records):
        names.append(records.path.stem)
        return load(records)

    monkeypatch.setitem(readers.READERS, ".csv", readers.READERS[".csv"]._replace(load=counted))
    return names


def joined(folder: Path, cache: SampleCache) -> ConcatSource:
    return ConcatSource([open_folder(folder, cache=cache)], [range(3)], cache)


def test_samples_of_loaded_files_are_kept_once_and_loaded_once(folder, loaded):
    cache = SampleCache(10 * FILE_BYTES)
    source = joined(folder, cache)
    for start in range(0, 2000, 100):
        for index in (0, 1, 2):
            assert source.read(index, start, start + 500).shape == (2, 500)
    assert sorted(loaded) == ["a", "b", "c"]
    assert cache.used_bytes == 3 * FILE_BYTES


@pytest.mark.parametrize("files", [0, 2])
def test_beyond_the_bound_only_the_last_file_is_kept(folder, loaded, files):
    cache = SampleCache(files * FILE_BYTES + 100)
    source, alone = joined(folder, cache), open_folder(folder)
    for index in (0, 1, 2, 2, 0, 1, 2, 2):
        found = source.read(index, 700, 900)
        np.testing.assert_array_equal(found, alone.read(index, 700, 900))
    assert cache.used_bytes == files * FILE_BYTES
    ours = "".join(loaded).replace("a", "", 1).replace("b", "", 1).replace("c", "", 1)
    assert len(ours) == {0: 6, 2: 3}[files]


def test_a_cache_that_is_too_small_is_reported_with_the_size_that_suffices(
    folder, caplog, monkeypatch
):
    monkeypatch.setattr("physio_mae_jax.data.formats.loaded_arrays._MIB", 1000)
    with caplog.at_level(logging.WARNING):
        open_folder(folder, cache=SampleCache(3 * FILE_BYTES))
        assert "repeatedly" not in caplog.text
        open_folder(folder, cache=SampleCache(2 * FILE_BYTES))
    assert "set --config.data.cache_mib=72, or convert them to .npy" in caplog.text


def test_a_pickled_source_reads_the_same(folder):
    source = open_folder(folder, cache=SampleCache(10 * FILE_BYTES))
    wanted = source.read(1, 5, 50)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read(1, 5, 50), wanted)
