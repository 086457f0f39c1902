"""Shards that were cut or altered are written again."""

import numpy as np
import pytest

from physio_mae_jax.errors import UserError
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.layouts.folder import open_own_folder
from physio_mae_jax.preparation.shards import read_summary, write_shard


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three recordings with a heart beat, and one that never changes."""
    folder = tmp_path_factory.mktemp("source")
    rng = np.random.default_rng(0)
    for number in range(4):
        signal = rng.normal(size=(1, 800)).cumsum(axis=1) if number else np.zeros((1, 800))
        np.savez(folder / f"r{number}.npz", X=signal, channels=["II"], fs=100.0, subject=[number])
    return folder


def test_a_shard_that_was_cut_or_altered_is_written_again(source, tmp_path):
    layout = open_own_folder("own", source, None, ())
    tasks = []

    def note(given):
        tasks.extend(given)
        yield from ((task, write_shard(task)) for task in given)

    def prepared(executor):
        tasks.clear()
        made = make_builder(layout)(source=source, data_dir=tmp_path, executor=executor)
        with pytest.raises(UserError, match="1 of 4"):
            made.prepare()
        return len(tasks)

    count = prepared(note)
    assert count == len(tasks) > 1
    assert prepared(note) == 0
    everything = sorted((tmp_path / "own" / ".preparing-1.0.0").glob("*.json"))
    for number, damage in enumerate(("{", "[]", '{"fingerprint": 1}', "null", "[" * 50_000)):
        path = everything[number % len(everything)]
        path.write_text(damage)
        assert prepared(note) == 1, damage
    shard = everything[0].with_suffix("")
    shard.write_bytes(shard.read_bytes()[:-1])
    assert prepared(note) == 1
    assert read_summary(tasks[0]) is not None
