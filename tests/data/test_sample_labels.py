"""Labels of samples, made from intervals when a window is cut."""

import dataclasses

import numpy as np
import pytest

from physio_mae_jax.data.instances import LabelConfig, collect_instances
from physio_mae_jax.data.labeled_batches import labeled_training_batches
from physio_mae_jax.data.pipeline import LoaderConfig
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sample_labels import SampleLabels
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.preparation.recording import Annotations, LabelTask, Recording
from physio_mae_jax.signals.augment import AugmentConfig
from tests.prepared import PULSES, prepare_made_up, pulses


def opened(folder):
    prepared = PreparedSource(folder)
    return ConcatSource([prepared], [range(len(prepared.recordings))])


def reader_of(source, rate=100.0, samples=300, channels="II,PPG"):
    count = len(channels.split(","))
    return WindowReader(
        source,
        WindowConfig(
            channels=channels, num_channels=count, sampling_rate_hz=rate, num_samples=samples
        ),
    )


def instances_of(source, reader, **settings):
    config = LabelConfig(task="pulses", **settings)
    return collect_instances(source, reader, range(len(source.recordings)), config)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return opened(pulses(tmp_path_factory.mktemp("sets"), subjects=4))


def plain_labels(source, recording, rate=100.0):
    """Label a recording sample by sample: the class of the interval around its time."""
    record = source.origin(recording)[0].records[recording]
    labels = np.full((2, round(record.num_samples * rate / 100)), -1)
    for row, task in enumerate(("pulse_II", "pulse_PPG")):
        time = np.arange(labels.shape[1]) * 100 / rate
        for start, stop in record.annotated[task]:
            labels[row, (time >= start) & (time < stop)] = 0
        for start, stop, label in record.annotations[task]:
            labels[row, (time >= start) & (time < stop)] = label + 1
    return labels


@pytest.mark.parametrize("rate", [100.0, 50.0, 200.0])
def test_a_sample_has_the_class_of_its_interval(source, rate):
    labels = SampleLabels(source, reader_of(source, rate), "pulses", PULSES.classes)
    for start in (0, 137, round(12 * rate) - 300):
        (found,) = labels.of_windows([(1, start)])
        expected = plain_labels(source, 1, rate)[:, start : start + 300]
        assert found.dtype == np.int8
        # Ends of intervals are rounded to the nearest sample.
        assert (found != expected).sum() == 0
    counts = labels.count(1)
    whole = plain_labels(source, 1, rate)
    assert counts.tolist() == [(whole == k).sum() for k in range(3)]
    assert (whole == -1).any()


def test_adjacent_intervals_stay_adjacent_and_short_ones_stay(tmp_path, source):
    recording = dataclasses.replace(
        _recording_of(source),
        annotations={
            "pulse_II": Annotations.from_triples([(100, 133, 0), (133, 150, 1), (201, 202, 0)])
        },
        annotated={},
    )
    task = LabelTask(name="pulse_II", classes=PULSES.classes, level="interval", exclusive=True)
    every = dataclasses.replace(PULSES, channel_tasks={"": "pulse_II"})
    folder = prepare_made_up(tmp_path, "own", (task, every), [("p", "p", recording)])
    made = opened(folder)
    labels = SampleLabels(made, reader_of(made, 32.0, 96), "pulses", PULSES.classes)
    (found,) = labels.of_windows([(0, 0)])
    # A task of every channel labels each of them.
    np.testing.assert_array_equal(found[0], found[1])
    labeled = np.flatnonzero(found[0] >= 0)
    assert labeled.tolist() == [*range(32, 48), 64]
    assert found[0, labeled].tolist() == [1] * 11 + [2] * 5 + [1]


def _recording_of(source):
    info = source.recordings[0]
    return Recording(
        signal=source.read(0, 0, info.num_samples),
        channels=info.channel_names,
        units=info.units,
        sampling_rate_hz=info.sampling_rate_hz,
    )


def test_channels_without_a_task_have_no_labels(source):
    labels = SampleLabels(source, reader_of(source, channels="PPG,V1"), "pulses", PULSES.classes)
    found = labels.of_windows([(0, 200)])[0]
    np.testing.assert_array_equal(found[0], plain_labels(source, 0)[1, 200:500])
    assert (found[1] == -1).all()


def test_samples_of_classes_not_chosen_are_of_none(source):
    instances = instances_of(source, reader_of(source), classes="down")
    assert instances.classes == ("none", "down")
    found = instances.window_targets([0], [(0, 200)])[0]
    whole = plain_labels(source, 0)[:, 200:500]
    np.testing.assert_array_equal(found, np.where(whole == 2, 1, np.where(whole == 1, 0, whole)))
    with pytest.raises(ConfigError, match=r"names 'left'; task 'pulses' has up, down"):
        instances_of(source, reader_of(source), classes="left")


def test_windows_cover_a_recording_and_label_each_sample_once(source):
    instances = instances_of(source, reader_of(source, samples=500))
    assert (instances.kind, len(instances)) == ("segmentation", 4)
    assert instances.window_start[:3].tolist() == [0, 500, 700]
    targets = instances.evaluation_targets()
    whole = plain_labels(source, 0)
    np.testing.assert_array_equal(targets[0], whole[:, :500])
    np.testing.assert_array_equal(targets[2][:, 300:], whole[:, 1000:])
    assert (targets[2][:, :300] == -1).all()
    counts = [(targets[:3] == k).sum() for k in range(3)]
    assert instances.targets[0].tolist() == counts


def test_labels_follow_the_windows_of_training(source):
    reader = reader_of(source)
    strong = AugmentConfig(
        noise=0.5, baseline_wander=0.5, powerline=0.5, channel_dropout=0.5, time_mask=0.5
    )
    loader = LoaderConfig(batch_size=6, seed=0, num_threads=1, augment=strong)
    batches = labeled_training_batches(reader, instances_of(source, reader), loader, balanced=False)
    batch = next(batches)
    assert batch["target"].shape == (6, 2, 300)
    for target, recording, start in zip(
        *(batch[name] for name in ("target", "recording", "start")), strict=True
    ):
        whole = plain_labels(source, int(recording))
        np.testing.assert_array_equal(target, whole[:, start : start + 300])


def test_tasks_that_do_not_fit_are_reported(tmp_path, source):
    recording = _recording_of(source)
    other = LabelTask(name="pulse_II", classes=("x", "y"), level="interval", exclusive=True)
    one_channel = dataclasses.replace(PULSES, channel_tasks={"II": "pulse_II"})
    marked = dataclasses.replace(
        recording, annotations={"pulse_II": Annotations.from_triples([(0, 9, 0)])}
    )
    made = opened(prepare_made_up(tmp_path, "other", (other, one_channel), [("p", "p", marked)]))
    with pytest.raises(DataError, match=r"takes labels from task 'pulse_II', .*the classes x, y"):
        instances_of(made, reader_of(made))
    named = dataclasses.replace(one_channel, classes=("none", "up"))
    made = opened(prepare_made_up(tmp_path, "named", (other, named), [("p", "p", recording)]))
    with pytest.raises(DataError, match="has a class 'none', which is the name of samples outside"):
        instances_of(made, reader_of(made))
    same = dataclasses.replace(other, classes=PULSES.classes)
    unlabeled = opened(
        prepare_made_up(tmp_path, "empty", (same, one_channel), [("p", "p", recording)])
    )
    with pytest.raises(DataError, match="none of 1 recordings has a labeled sample of task"):
        instances_of(unlabeled, reader_of(unlabeled))
