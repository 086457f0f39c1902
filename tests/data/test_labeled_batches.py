"""Batches of labeled windows: their order and the balance of their classes."""

import numpy as np
import pytest

from physio_mae_jax.data.labeled_batches import (
    balancing_repeats,
    evaluation_batches,
    labeled_training_batches,
)
from physio_mae_jax.data.pipeline import LoaderConfig
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from tests.data.instances import get_reader, instances_of
from tests.prepared import waves


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    prepared = PreparedSource(waves(tmp_path_factory.mktemp("sets")))
    return ConcatSource([prepared], [range(len(prepared.recordings))])


def test_repeats_even_out_the_classes():
    targets = np.eye(3)[np.repeat([0, 1, 2], [60, 20, 3])]
    counts = (targets * balancing_repeats(targets)[:, None]).sum(axis=0)
    np.testing.assert_allclose(counts, 60, rtol=0.05)
    assert balancing_repeats(targets, max_repeats=5).max() == 5


def test_training_batches_show_their_units_and_go_on_where_they_were(source):
    instances, reader = instances_of(source, "state", seconds=2.0), get_reader(source, 2.0)
    config = LoaderConfig(batch_size=8, seed=0, num_threads=2)
    batches = labeled_training_batches(reader, instances, config, balanced=False)
    for _ in range(10):
        batch = next(batches)
        for recording, start, target in zip(
            batch["recording"], batch["start"], batch["target"], strict=True
        ):
            low = 0 if target.argmax() == 0 else 300
            assert low <= start <= low + 200
            assert 0 <= recording < 48
    state = batches.get_state()
    expected = next(batches)
    again = labeled_training_batches(reader, instances, config, balanced=False)
    again.set_state(state)
    np.testing.assert_array_equal(next(again)["signal"], expected["signal"])


def test_evaluated_batches_hold_every_window_once_and_in_order(source):
    instances, reader = instances_of(source, "wave", max_windows=3), get_reader(source)
    rows, kept = [], 0
    for batch, count in evaluation_batches(reader, instances, 32, num_threads=3):
        assert len(batch["signal"]) == 32
        rows += list(zip(batch["recording"][:count], batch["start"][:count], strict=True))
        kept += count
    expected = list(
        zip(instances.recording[instances.window_instance], instances.window_start, strict=True)
    )
    assert rows == expected
    assert kept == 144
