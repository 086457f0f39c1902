"""Labeled instances: what is evaluated, and where its windows lie."""

import numpy as np
import pytest

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import ConfigError, DataError
from tests.data.instances import get_reader, instances_of
from tests.prepared import waves


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    prepared = PreparedSource(waves(tmp_path_factory.mktemp("sets")))
    return ConcatSource([prepared], [range(len(prepared.recordings))])


def test_recordings_are_evaluated_by_windows_spread_over_them(source):
    instances = instances_of(source, "wave", max_windows=3)
    assert (instances.kind, instances.classes, len(instances)) == (
        "multiclass",
        ("slow", "fast"),
        48,
    )
    assert instances.ids[3] == "p1_1"
    assert instances.targets.sum(axis=0).tolist() == [24, 24]
    assert instances.window_start[:3].tolist() == [0, 150, 450]
    assert np.bincount(instances.window_instance).tolist() == [3] * 48


def test_windows_of_a_recording_overlap_if_that_is_wanted(source):
    instances = instances_of(source, "wave", seconds=8.0, window_stride=0.25)
    assert instances.window_start[:3].tolist() == [0, 100, 200]  # 8 s of 12 s, each 2 s, at 50 Hz
    assert np.bincount(instances.window_instance).tolist() == [3] * 48
    few = instances_of(source, "wave", seconds=8.0, window_stride=0.25, max_windows=2)
    assert few.window_start[:2].tolist() == [0, 200]


def test_recordings_of_no_class_are_excluded_if_that_is_wanted(source):
    assert len(instances_of(source, "flags", require_label=False)) == 48
    kept = instances_of(source, "flags")
    assert kept.kind == "multilabel"
    assert kept.targets.any(axis=1).all()
    assert 24 < len(kept) < 48


def test_events_lie_where_the_settings_put_them(source):
    for position in (0.0, 0.5, 0.8):
        instances = instances_of(source, "beat", event_offset=position)
        reader = get_reader(source)
        for index in (0, 5, len(instances) - 1):
            second = int(instances.ids[index].split("@")[1]) / 50 + 3 * position
            assert second == pytest.approx(round(second))
            assert instances.targets[index].argmax() == round(second) % 2
        # Those whose window would reach past an end are no instances.
        seconds = np.array([int(i.split("@")[1]) / 50 for i in instances.ids])
        assert seconds.min() >= 0
        assert seconds.max() <= 12 - 3
        assert len(reader.read(int(instances.recording[0]), int(instances.window_start[0]))) == 6


def test_states_are_cut_into_windows_that_stay_within_them(source):
    instances = instances_of(source, "state", seconds=2.0)
    assert len(instances) == 48 * 6
    first = np.flatnonzero(instances.recording == 0)
    assert instances.window_start[first].tolist() == [0, 100, 200, 300, 400, 500]
    assert instances.targets[first].argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]
    for instance in first:
        low, high = (0, 300) if instances.targets[instance].argmax() == 0 else (300, 600)
        assert (
            low
            <= instances.first[instance]
            <= instances.window_start[instance]
            <= instances.last[instance]
        )
        assert instances.last[instance] + 100 <= high


def test_numbers_are_read_from_attributes(source):
    instances = instances_of(source, "attribute:age")
    assert (instances.kind, instances.classes) == ("regression", ("age",))
    assert instances.targets[0, 0] == 20
    with pytest.raises(DataError, match="none of 48 recordings has a label of task 'attribute:x'"):
        instances_of(source, "attribute:x")


def test_classes_can_be_chosen(source):
    instances = instances_of(source, "flags", classes="b,a")
    assert instances.classes == ("b", "a")
    only = instances_of(source, "beat", classes="V")
    assert only.targets.shape == (len(only), 1)
    with pytest.raises(ConfigError, match=r"names 'X'; task 'beat' has N, V"):
        instances_of(source, "beat", classes="X")


def test_tasks_that_are_not_there_are_reported(source):
    with pytest.raises(DataError, match=r"'waves' has no task 'stage'; it has wave, flags"):
        instances_of(source, "stage")
