"""Prepared examples are opened by tfds alone."""

import tensorflow_datasets as tfds

from tests.preparation.ptbxl_source import prepare


def test_tfds_opens_it_without_our_code(source, tmp_path):
    builder, _ = prepare(source, tmp_path)
    examples = tfds.builder_from_directory(builder.data_dir).as_data_source(split="recordings")
    assert len(examples) == 24
    example = examples[2]
    assert example["record_id"] == b"3"
    assert example["signal"].shape == (12, 1000)
    assert example["labels_rhythm"].tolist() == [1] + [0] * 11
    assert example["units"] == ",".join(["mV"] * 12).encode()
