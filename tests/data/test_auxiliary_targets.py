"""Targets of an auxiliary task follow the recordings of the instances."""

import dataclasses

import numpy as np
import pytest

from physio_mae_jax.data.auxiliary_targets import auxiliary_targets
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import DataError
from tests.prepared import CLASSES, prepare_made_up


@pytest.fixture(scope="module")
def waves_source(waves_root):
    return joined(waves_root / "waves" / "1.0.0")


def joined(folder):
    source = PreparedSource(folder)
    return ConcatSource([source], [range(len(source.recordings))])


def test_instances_of_a_recording_have_its_labels(waves_source):
    found = auxiliary_targets(waves_source, [3, 0, 3, 2], "flags")
    assert (found.kind, found.classes) == ("multilabel", ("a", "b", "c"))
    assert (found.values.shape, found.values.dtype, found.num_known) == ((4, 3), np.float32, 4)
    np.testing.assert_array_equal(found.values[0], found.values[2])
    assert found.values[:, 0].tolist() == [1, 0, 1, 1]  # recordings 2 and 3 are of a fast subject
    np.testing.assert_array_equal(found.subset(np.array([1, 3])).values, found.values[[1, 3]])


def test_exclusive_classes_are_one_hot(waves_source):
    found = auxiliary_targets(waves_source, [0, 2], "wave")
    assert (found.kind, found.values.tolist()) == ("multiclass", [[1, 0], [0, 1]])


def test_tasks_that_cannot_be_trained_beside_are_named(waves_source):
    with pytest.raises(DataError, match="task 'statements'"):
        auxiliary_targets(waves_source, [0, 1], "statements")
    with pytest.raises(DataError, match="labels events, not whole recordings"):
        auxiliary_targets(waves_source, [0, 1], "beat")


def test_an_instance_without_a_label_is_unknown(waves_source, tmp_path):
    recordings = [
        (name, name, _recording(waves_source, labels))
        for name, labels in (("r0", {"wave": np.int8([0, 1])}), ("r1", {}))
    ]
    source = joined(prepare_made_up(tmp_path, "half", [CLASSES], recordings))
    order = [source.recordings[i].record_id for i in range(2)]
    found = auxiliary_targets(source, [0, 1], "wave")
    rows = dict(zip(order, found.values.tolist(), strict=True))
    assert (rows, found.num_known) == ({"r0": [0, 1], "r1": [-1, -1]}, 1)
    with pytest.raises(DataError, match="none of 1 training recordings has a label"):
        auxiliary_targets(source, [order.index("r1")], "wave")


def _recording(source, labels):
    from tests.prepared import _wave

    made = _wave(0, 0, 12, np.random.default_rng(0))
    return dataclasses.replace(made, labels=labels, annotations={})
