"""Labeled instances: what is evaluated, where its windows lie, and who is trained on."""

import numpy as np
import pytest

from physio_mae_jax.data.instances import (
    LabelConfig,
    choose_fraction,
    collect_instances,
    rarest_class,
)
from physio_mae_jax.data.labeled_batches import (
    balancing_repeats,
    evaluation_batches,
    labeled_training_batches,
)
from physio_mae_jax.data.labels import class_names
from physio_mae_jax.data.pipeline import LoaderConfig
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.training.prediction import average_by_instance
from tests.prepared import waves


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    prepared = PreparedSource(waves(tmp_path_factory.mktemp("sets")))
    return ConcatSource([prepared], [range(len(prepared.recordings))])


def test_units_of_several_sets_are_told_apart_though_their_recordings_have_one_name(tmp_path):
    sets = [PreparedSource(waves(tmp_path, name, subjects=4)) for name in ("ward_a", "ward_b")]
    joined = ConcatSource(sets, [range(8), range(8)])
    for task in ("wave", "beat"):
        ids = instances_of(joined, task).ids
        assert len(set(ids.tolist())) == len(ids)
    assert instances_of(joined, "wave").ids[0] == "ward_a:p0_0"


def test_one_data_set_is_not_joined_twice(tmp_path):
    prepared = PreparedSource(waves(tmp_path, subjects=4))
    with pytest.raises(ConfigError, match=r"data set 'waves' occurs 2 times.*list it once"):
        ConcatSource([prepared, prepared], [range(2), range(2)])


def get_reader(source, seconds=3.0, rate=50.0):
    window = WindowConfig(
        channels="II,PPG",
        num_channels=2,
        sampling_rate_hz=rate,
        num_samples=round(seconds * rate),
    )
    return WindowReader(source, window)


def instances_of(source, task, seconds=3.0, **settings):
    indices = range(len(source.recordings))
    return collect_instances(
        source, get_reader(source, seconds), indices, LabelConfig(task=task, **settings)
    )


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


def test_predictions_are_averaged_over_the_windows_of_a_unit(source):
    instances = instances_of(source, "wave", max_windows=3)
    windows = np.arange(144, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        average_by_instance(windows, instances)[:, 0], np.arange(144).reshape(48, 3).mean(axis=1)
    )
    some = instances.subset(np.array([2, 7]))
    np.testing.assert_allclose(average_by_instance(windows[:6], some)[:, 0], [1, 4])


COMMAS = {
    '"a, b",c': ["a, b", "c"],
    "a, b": ["a, b"],
    "c": ["c"],
    'c , "a, b"': ["c", "a, b"],
    "x,y": ["x", "y"],
    "": [],
    " , ": [],
}


@pytest.mark.parametrize("text", COMMAS)
def test_names_of_classes_may_hold_commas(text):
    assert class_names(text, ("a, b", "c")) == COMMAS[text]
    assert class_names(COMMAS[text], ("a, b", "c")) == COMMAS[text]


def test_classes_that_cannot_be_parted_are_rejected():
    with pytest.raises(ConfigError, match=r"labels\.classes=.* cannot be parsed"):
        class_names("a\nb", ("c",))
