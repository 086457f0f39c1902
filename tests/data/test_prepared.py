"""Prepared data that is damaged is rejected with a fix."""

import json
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.prepared_index import PreparedRecord
from physio_mae_jax.errors import DataError
from tests.preparation.ptbxl_source import make_source, prepare
from tests.prepared import pulses


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("raw") / "ptbxl")


def test_interval_is_read_across_segments(tmp_path):
    source = make_source(tmp_path / "raw", count=2, samples=14_000)
    builder, _ = prepare(source, tmp_path / "out")
    prepared = PreparedSource(Path(builder.data_dir))
    assert prepared.records[1].num_examples == 3
    expected = np.random.default_rng(2).integers(-900, 900, (14_000, 12)).T
    for start, stop in ((0, 14_000), (5_990, 6_010), (11_999, 12_001), (13_999, 14_000), (7, 7)):
        ours = prepared.read(1, start, stop)
        assert ours.shape == (12, stop - start)
        np.testing.assert_allclose(ours * 1000, expected[:, start:stop], atol=0.4)
    with pytest.raises(DataError, match=r"samples \[13999, 14001\)"):
        prepared.read(1, 13_999, 14_001)


DAMAGE = {
    "index": (
        lambda f: (f / "recordings.jsonl").write_text("{"),
        r"recordings\.jsonl, line 1 cannot be read",
    ),
    "model_spec": (
        lambda f: (f / "dataset.json").write_text("{}"),
        r"dataset\.json states no 'format_version'",
    ),
    "shard": (
        lambda f: next(f.glob("*array_record*")).write_bytes(b"not a record file"),
        r"has 17 bytes, but [\d,]+ were written",
    ),
    "shard gone": (
        lambda f: next(f.glob("*array_record*")).unlink(),
        r"array_record-\d+-of-\d+ cannot be read \(No such file",
    ),
    "rows": (
        lambda f: (f / "recordings.jsonl").write_text(
            "".join((f / "recordings.jsonl").read_text().splitlines(True)[:-1])
        ),
        r"recordings\.jsonl was changed after it was written",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_data_set_is_rejected_with_a_fix(kind, source, tmp_path):
    builder, _ = prepare(source, tmp_path)
    damage, message = DAMAGE[kind]
    damage(Path(builder.data_dir))
    with pytest.raises(DataError, match=message) as caught:
        read_all(Path(builder.data_dir))
    assert "--overwrite" in str(caught.value)


def read_all(folder):
    prepared = PreparedSource(folder)
    for index in range(len(prepared.recordings)):
        prepared.read(index, 0, 10)


def test_ranges_of_annotations_lie_within_the_signal(tmp_path):
    line = json.loads((pulses(tmp_path, subjects=1) / "recordings.jsonl").read_text())
    record = PreparedRecord.from_json(line)
    assert record.annotated == {"pulse_II": [(100, 1100)], "pulse_PPG": [(100, 1100)]}
    for wrong in ([100, 1201], [300, 200]):
        with pytest.raises(DataError, match=r"range .* of task 'pulse_II' is outside the signal"):
            PreparedRecord.from_json(line | {"annotated": {"pulse_II": [wrong]}})
    # Files written before there were such ranges have none.
    del line["annotated"]
    assert PreparedRecord.from_json(line).annotated == {}
