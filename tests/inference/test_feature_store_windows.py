"""Tables with a row per window: the same in every format, with times, and gaps as rows."""

import datetime
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from configs import features as features_config
from physio_mae_jax.commands.extract_features import build_features
from physio_mae_jax.inference.feature_store.extraction import extract_features
from physio_mae_jax.inference.feature_store.files import read_features
from tests.encoders import beats, encoder, write_run
from tests.long_recordings import LEADS, write_wfdb
from tests.runs import typed

FORMATS = ("npz", "parquet", "array_record")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder of a recording with a gap, one without, and one that lasts too short."""
    folder = tmp_path_factory.mktemp("recordings")
    signal = beats(40, 100)
    write_wfdb(folder, signal[:, :1700], 100, "b")
    write_wfdb(folder, signal[:, :5], 100, "c")
    signal[0, 1010:1020] = np.nan
    write_wfdb(folder, signal, 100, "a")
    return folder, write_run(folder.parent / "run")


def extract(recordings, workdir, kind, **changes):
    folder, run = recordings
    config = features_config.get_config(f"format={kind}")
    config.init_from, config.data.sets, config.data.path = str(run), "folder", str(folder)
    config.num_devices, config.encoding.on_invalid = 1, "skip"
    config.encoding.rows, config.encoding.overlap = "window", 0.0
    config.update_from_flattened_dict(changes)
    extract_features(build_features(typed(config), workdir))
    return read_features(workdir)


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_are_windows_with_times_and_gaps(recordings, tmp_path, kind):
    table = extract(recordings, tmp_path, kind)
    assert table.rows == "window"
    assert table.record_id.tolist() == ["a"] * 10 + ["b"] * 5
    assert table.start_seconds.dtype == table.end_seconds.dtype == np.float64
    assert table.start_seconds.tolist() == [*range(0, 40, 4), 0, 4, 8, 12, 13]
    assert (table.end_seconds - table.start_seconds == 4).all()
    assert table.rejected.tolist() == ["", "", "gap", *[""] * 12]
    assert np.isnan(table.embedding).all(axis=1).tolist() == (table.rejected != "").tolist()
    begin = datetime.datetime.fromisoformat("2025-12-31T23:59:50")
    for seconds, text in zip(table.start_seconds, table.start_time, strict=True):
        expected = begin + datetime.timedelta(seconds=float(seconds))
        assert datetime.datetime.fromisoformat(text) == expected
    index = json.loads((tmp_path / "index.json").read_text())
    assert list(index["rejected"]) == ["c"]
    assert index["about"]["rows"] == "window"
    rows, _ = encoder().encode_file(recordings[0] / "b.hea", rows="window", overlap=0.0)
    np.testing.assert_allclose(table.embedding[10:], rows[0], atol=2e-5)


@pytest.mark.parametrize("size", [1, 2])
def test_shards_do_not_change_the_rows(recordings, tmp_path, size):
    whole = extract(recordings, tmp_path / "whole", "npz")
    parts = extract(recordings, tmp_path / "parts", "npz", recordings_per_shard=size)
    for name, values in whole.columns().items():
        np.testing.assert_array_equal(parts.columns()[name], values)


def test_others_read_the_times(recordings, tmp_path):
    extract(recordings, tmp_path, "parquet")
    found = pq.read_table(tmp_path / "features-00000-of-00001.parquet")
    assert str(found.schema.field("start_seconds").type) == "double"
    assert found.column("start_time")[0].as_py() == "2025-12-31T23:59:50.000"


def test_tfds_reads_the_times(recordings, tmp_path):
    import tensorflow_datasets as tfds

    extract(recordings, tmp_path, "array_record")
    source = tfds.builder_from_directory(tmp_path).as_data_source(split="recordings")
    assert len(source) == 15
    assert source[2]["rejected"] == b"gap"
    assert source[14]["start_seconds"] == 13.0


def test_rows_of_recordings_stay_without_times(recordings, tmp_path):
    table = extract(recordings, tmp_path, "npz", **{"encoding.rows": "recording"})
    assert table.rows == "recording"
    assert table.record_id.tolist() == ["a", "b"]
    assert "start_seconds" not in table.columns()
    index = json.loads((tmp_path / "index.json").read_text())
    assert "rows" not in index["about"]
    assert "rows" not in index["settings"]["encoding"]
    assert set(LEADS) <= set(table.model_spec["input"]["channels"])
