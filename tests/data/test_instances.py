"""Labeled instances: what is evaluated, where its windows lie, and who is trained on."""

import numpy as np
import pytest

from physio_mae_jax.data.instances import choose_fraction, rarest_class
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


def subjects_of(source, instances):
    return [source.recordings[int(i)].subject_key for i in instances.recording]


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_a_fraction_is_one_of_subjects_and_keeps_every_class(source, fraction):
    instances = instances_of(source, "flags", require_label=False)
    subjects = subjects_of(source, instances)
    chosen = choose_fraction(instances, subjects, fraction, seed=1)
    kept = set(subjects_of(source, chosen))
    assert len(kept) == pytest.approx(24 * fraction, abs=2)
    # Whoever is in is in with all instances, and the one subject of class c is.
    assert len(chosen) == sum(subject in kept for subject in subjects)
    assert chosen.targets.any(axis=0).all()
    again = choose_fraction(instances, subjects, fraction, seed=1)
    assert again.ids.tolist() == chosen.ids.tolist()
    assert (
        choose_fraction(instances, subjects, fraction, seed=2).ids.tolist() != chosen.ids.tolist()
    )
    assert chosen.window_instance.max() == len(chosen) - 1


def test_fractions_out_of_range_are_reported(source):
    instances = instances_of(source, "wave")
    with pytest.raises(ConfigError, match=r"label_fraction must be .* got 0"):
        choose_fraction(instances, subjects_of(source, instances), 0, 0)


def test_the_stratum_of_a_subject_is_their_rarest_class():
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]])
    strata = rarest_class(targets, ["p", "q", "p", "r", "q"], "multilabel")
    assert strata["p"] == 0
    assert strata["q"] in (1, 2)
    assert strata["r"] == -1
