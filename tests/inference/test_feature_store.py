"""Features of whole data sets: what is in the tables, and that no interruption spoils them."""

import json
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from configs import features as features_config
from physio_mae_jax.commands.extract_features import build_features
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.feature_store import extraction
from physio_mae_jax.inference.feature_store.extraction import extract_features
from physio_mae_jax.inference.feature_store.files import read_features
from tests.encoders import beats, encoder, write_run
from tests.prepared import waves
from tests.runs import typed


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    waves(root, subjects=6)
    return root, write_run(root / "run")


def run_of(prepared, workdir, argument="", **changes):
    root, run = prepared
    config = features_config.get_config(argument)
    config.init_from, config.data.sets, config.data.root = str(run), "waves", str(root)
    config.num_devices, config.batch_size, config.recordings_per_shard = 1, 16, 5
    config.data.split_rule = "fold=1-2|3|"
    config.update_from_flattened_dict(changes)
    return build_features(typed(config), workdir)


@pytest.mark.parametrize("kind", ["npz", "parquet", "array_record"])
def test_tables_hold_embeddings_ids_labels_and_parts(prepared, tmp_path, kind):
    run = run_of(prepared, tmp_path, f"format={kind}")
    extract_features(run)
    table = read_features(tmp_path)
    assert table.record_id.tolist() == [f"p{i}_{visit}" for i in range(6) for visit in range(2)]
    assert table.subject_id.tolist() == [f"p{i}" for i in range(6) for _ in range(2)]
    assert set(table.data_set) == {"waves"}
    assert table.split.tolist() == ["train"] * 8 + ["validation"] * 4
    assert table.classes["wave"] == ["slow", "fast"]
    assert (
        table.labels["wave"].tolist()
        == [[1, 0]] * 2 + [[0, 1]] * 2 + table.labels["wave"].tolist()[4:]
    )
    assert table.model_spec["input"]["sampling_rate_hz"] == 100
    signals = [run.source.read(i, 0, 1200) for i in range(12)]
    wanted = encoder().encode(signals, sampling_rate_hz=100, channels=["II", "PPG"])
    np.testing.assert_allclose(table.embedding, wanted, atol=2e-5)


def test_parquet_is_read_by_others(prepared, tmp_path):
    extract_features(run_of(prepared, tmp_path, "format=parquet"))
    found = pq.read_table(tmp_path / "features-00000-of-00003.parquet")
    assert found.column_names[:3] == ["embedding", "record_id", "subject_id"]
    about = json.loads(found.schema.metadata[b"physio_mae_jax"])
    assert about["classes"]["wave"] == ["slow", "fast"]


def test_tfds_opens_array_records(prepared, tmp_path):
    import tensorflow_datasets as tfds

    extract_features(run_of(prepared, tmp_path, "format=array_record"))
    source = tfds.builder_from_directory(tmp_path).as_data_source(split="recordings")
    assert len(source) == 12
    assert source[11]["record_id"] == b"p5_1"
    assert source[0]["embedding"].shape == (32,)
    assert "tensorflow" not in sys.modules


def test_an_interrupted_run_goes_on_and_ends_the_same(prepared, tmp_path, monkeypatch):
    extract_features(run_of(prepared, tmp_path / "whole"))
    make, made = extraction._make, []

    def interrupted(run, shard):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(shard.number)
        return make(run, shard)

    monkeypatch.setattr(extraction, "_make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract_features(run_of(prepared, tmp_path / "cut"))
    with pytest.raises(DataError, match=r"index\.json cannot be read .* resumes where it stopped"):
        read_features(tmp_path / "cut")
    made.clear()
    extract_features(run_of(prepared, tmp_path / "cut"))
    assert made == [2]
    for name in ("features-00001-of-00003.npz", "features-00002-of-00003.npz", "index.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_other_settings_make_shards_anew(prepared, tmp_path, monkeypatch):
    extract_features(run_of(prepared, tmp_path))
    made = []
    make = extraction._make
    monkeypatch.setattr(extraction, "_make", lambda r, s: made.append(s.number) or make(r, s))
    extract_features(run_of(prepared, tmp_path))
    assert made == []
    extract_features(run_of(prepared, tmp_path, **{"encoding.overlap": 0.0}))
    assert made == [0, 1, 2]


def test_other_labels_make_shards_anew_and_the_index_tells_of_them(prepared, tmp_path):
    extract_features(run_of(prepared, tmp_path, tasks="wave"))
    assert set(read_features(tmp_path).classes) == {"wave"}
    extract_features(run_of(prepared, tmp_path, tasks="wave,flags"))
    table = read_features(tmp_path)
    assert set(table.labels) == set(table.classes) == {"wave", "flags"}


def test_files_that_changed_are_encoded_again(prepared, folder, tmp_path):
    given = {"data.sets": "folder", "data.path": str(folder), "data.split_rule": ""}
    (folder / "bad.npz").unlink()
    (folder / "gap.npz").unlink()
    extract_features(run_of(prepared, tmp_path / "found", **given))
    before = read_features(tmp_path / "found").embedding
    fixed = beats(20, 125, leads=2, seed=3).astype(np.float32)
    np.savez(folder / "good.npz", signal=fixed, channels=["MLII", "PLETH"], fs=125.0)
    extract_features(run_of(prepared, tmp_path / "found", **given))
    after = read_features(tmp_path / "found").embedding
    extract_features(run_of(prepared, tmp_path / "fresh", **given))
    np.testing.assert_array_equal(after, read_features(tmp_path / "fresh").embedding)
    assert np.abs(after - before).max() > 1e-3


def test_processes_share_the_work_and_the_last_one_merges(prepared, tmp_path):
    shares = [
        run_of(prepared, tmp_path / "shared", process_index=i, process_count=2) for i in (0, 1)
    ]
    assert extract_features(shares[1]) is None
    assert extract_features(shares[0]) == tmp_path / "shared" / "index.json"
    extract_features(run_of(prepared, tmp_path / "whole"))
    shared, whole = (read_features(tmp_path / name) for name in ("shared", "whole"))
    np.testing.assert_array_equal(shared.embedding, whole.embedding)
    with pytest.raises(ConfigError, match="process_index=2 must lie"):
        run_of(prepared, tmp_path, process_index=2, process_count=2)


@pytest.fixture
def folder(tmp_path):
    """Three files that describe themselves: a good one, one with a gap, one of NaN."""
    path = tmp_path / "own"
    path.mkdir()
    for name, bad in (("good", slice(0)), ("gap", slice(1000, 1010)), ("bad", slice(None))):
        signal = beats(20, 125, leads=2).astype(np.float32)
        signal[:, bad] = np.nan
        np.savez(path / f"{name}.npz", signal=signal, channels=["MLII", "PLETH"], fs=125.0)
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_folder_and_files_are_encoded_and_what_is_broken_is_listed(prepared, folder, tmp_path):
    given = {"data.sets": "folder", "data.path": str(folder), "data.split_rule": ""}
    with pytest.raises(DataError, match="values that are not finite"):
        extract_features(run_of(prepared, tmp_path / "strict", **given))
    given["encoding.on_invalid"] = "skip"
    extract_features(run_of(prepared, tmp_path / "all", **given))
    table = read_features(tmp_path / "all")
    assert table.record_id.tolist() == ["gap", "good"]
    index = json.loads((tmp_path / "all" / "index.json").read_text(encoding="utf-8"))
    assert list(index["rejected"]) == ["bad"]
    files = {"data.files": str(folder / "good.npz"), "data.sets": "", "data.split_rule": ""}
    extract_features(run_of(prepared, tmp_path / "one", **files))
    one = read_features(tmp_path / "one")
    np.testing.assert_allclose(one.embedding[0], table.embedding[1], atol=2e-5)


def test_what_is_not_named_is_asked_for(prepared, tmp_path):
    with pytest.raises(ConfigError, match="no recordings to encode; set"):
        run_of(prepared, tmp_path, **{"data.sets": ""})
    with pytest.raises(ConfigError, match="init_from is empty"):
        run_of(prepared, tmp_path, init_from="")
    with pytest.raises(ConfigError, match="format is 'csv'"):
        run_of(prepared, tmp_path, format="csv")


def test_a_broken_table_is_named(prepared, tmp_path):
    extract_features(run_of(prepared, tmp_path))
    (tmp_path / "features-00001-of-00003.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"features-00001-of-00003\.npz is damaged"):
        read_features(tmp_path)
