"""Predictions are averaged over the windows of a unit."""

import numpy as np
import pytest

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.training.prediction import average_by_instance
from tests.data.instances import instances_of
from tests.prepared import waves


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    prepared = PreparedSource(waves(tmp_path_factory.mktemp("sets")))
    return ConcatSource([prepared], [range(len(prepared.recordings))])


def test_predictions_are_averaged_over_the_windows_of_a_unit(source):
    instances = instances_of(source, "wave", max_windows=3)
    windows = np.arange(144, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        average_by_instance(windows, instances)[:, 0], np.arange(144).reshape(48, 3).mean(axis=1)
    )
    some = instances.subset(np.array([2, 7]))
    np.testing.assert_allclose(average_by_instance(windows[:6], some)[:, 0], [1, 4])
