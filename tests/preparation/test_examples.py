"""Prepared examples are opened by tfds alone."""

import tensorflow_datasets as tfds

from tests.preparation.ptbxl_source import prepare
from tests.prepared import pulses


def test_tfds_opens_it_without_our_code(source, tmp_path):
    builder, _ = prepare(source, tmp_path)
    examples = tfds.builder_from_directory(builder.data_dir).as_data_source(split="recordings")
    assert len(examples) == 24
    example = examples[2]
    assert example["record_id"] == b"3"
    assert example["signal"].shape == (12, 1000)
    assert example["labels_rhythm"].tolist() == [1] + [0] * 11
    assert example["units"] == ",".join(["mV"] * 12).encode()


def test_examples_have_what_samples_are_labeled_by(tmp_path):
    folder = pulses(tmp_path, subjects=1, seconds=65)
    first, second = tfds.builder_from_directory(folder).as_data_source(split="recordings")
    assert "annotations_pulses" not in first
    assert len(first["annotations_pulse_II"]) == 59
    # The range reaches into both segments of 60 s.
    for example in (first, second):
        assert example["annotated_pulse_II"].tolist() == [[100, 6400]]
    assert second["annotations_pulse_PPG"][0].tolist()[:2] == [6050, 6080]
