"""Prepared data and tables of strangers: none of their code runs, and no change goes unnoticed."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.feature_store.files import (
    FORMATS,
    describe_for_tfds,
    read_features,
    write_table,
)
from physio_mae_jax.inference.feature_store.index import (
    About,
    FeatureMetadata,
    FeatureShard,
    file_sha256,
)
from physio_mae_jax.inference.feature_store.table import FeatureTable
from tests.prepared import waves
from tests.tampering import MAKE_NO_FILE, rewrite_index, tally


def read_all(folder: Path) -> None:
    source = PreparedSource(folder)
    for index in range(len(source.recordings)):
        source.read(index, 0, 10)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder of each kind that subjects give to each other."""
    root = tmp_path_factory.mktemp("originals")
    features = root / "features"
    for name in FORMATS:
        write_features(features / name, name)
    return {
        "prepared": waves(root, subjects=3),
        **{name: features / name for name in FORMATS},
    }


def write_features(folder: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    ids = np.asarray([f"r{i}" for i in range(4)])
    table = FeatureTable(
        embedding=rng.normal(size=(4, 8)).astype(np.float32),
        **{column: ids for column in ("record_id", "subject_id", "data_set", "split")},
        labels={"wave": np.eye(2, dtype=np.int8)[[0, 1, 1, 0]]},
        classes={"wave": ["slow", "fast"]},
        model_spec={"input": {"sampling_rate_hz": 100.0}},
    )
    path = folder / FORMATS[name].name(0, 1)
    write_table(table, path, FORMATS[name])
    if name == "array_record":
        describe_for_tfds(folder, table, [4])
    shard = FeatureShard(file=path.name, num_rows=4, sha256=file_sha256(path))
    index = FeatureMetadata(
        format=name,
        about=About(**table.about()),
        embedding_size=8,
        encoder={"origin": "here", "fingerprint": "0"},
        settings={},
        data={},
        num_rows=4,
        shards=(shard,),
        rejected={},
    )
    content = add_seal(json.loads(json.dumps(index, default=vars)))
    (folder / "index.json").write_text(json.dumps(content))


READERS: dict[str, Callable[[Path], Any]] = {
    "prepared": read_all,
    **dict.fromkeys(FORMATS, read_features),
}


@pytest.fixture
def copied(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    def copy(kind: str) -> Path:
        return Path(shutil.copytree(originals[kind], tmp_path / kind))

    return copy


EVIL = """
from pathlib import Path
Path({trace!r}).touch()
from tensorflow_datasets.core.features import FeaturesDict, Text, Tensor
class Evil(FeaturesDict):
    pass
"""


@pytest.mark.parametrize("kind", ["prepared", "array_record"])
@pytest.mark.parametrize("name", ["Evil", "NotThere"])
def test_no_module_that_a_folder_names_is_imported(kind, name, copied, tmp_path, monkeypatch):
    folder, trace = copied(kind), tmp_path / "was_here"
    (folder / "evil_of_the_data.py").write_text(EVIL.format(trace=str(trace)))
    monkeypatch.syspath_prepend(str(folder))
    features = json.loads((folder / "features.json").read_text())
    features["pythonClassName"] = f"evil_of_the_data.{name}"
    (folder / "features.json").write_text(json.dumps(features))
    info = json.loads((folder / "dataset_info.json").read_text())
    info["moduleName"] = "evil_of_the_data"
    (folder / "dataset_info.json").write_text(json.dumps(info))
    READERS[kind](folder)
    assert not trace.exists()
    assert "evil_of_the_data" not in sys.modules


FILES = [
    ("prepared", "dataset.json"),
    *((kind, "index.json") for kind in FORMATS),
]


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_every_change_of_a_value_is_named(kind, name, copied):
    folder = copied(kind)
    found = tally(folder / name, lambda: READERS[kind](folder), seal=False, step=7)
    assert set(found) == {"named"}
    assert len(found["named"]) > 30


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_values_with_hashes_to_match_give_no_other_error_than_ours(kind, name, copied):
    folder = copied(kind)
    found = tally(folder / name, lambda: READERS[kind](folder), seal=True, step=61)
    assert "raw" not in found, found["raw"]


@pytest.mark.parametrize(
    ("old", "new", "fitting", "message"),
    [
        ('"subject_id":"p1"', '"subject_id":"p2"', False, "was changed after it was written"),
        ('"wave":[1]', '"wave":[0]', False, "was changed after it was written"),
        ('"block_hashes":[', '"block_hashes":[7,', False, "was changed after it was written"),
        ('"age":', '"agf":', False, "was changed after it was written"),
        ('"num_samples":1200', f'"num_samples":{2**63}', True, "line 1: num_samples is 9223"),
        ('"num_samples":1200', f'"num_samples":{2**62}', True, "line 1: num_examples is 1, but"),
        (
            '"num_samples":1200',
            '"num_samples":"1200"',
            True,
            "num_samples is '1200', where an integer",
        ),
        ('"sampling_rate_hz":100.0', '"sampling_rate_hz":1e300', True, "sampling_rate_hz is 1e"),
        ('"channels":["II"', '"channels":["PPG"', True, "the number of distinct channels"),
        ('"units":["mV"', '"units":["V"', True, r"channel 'II' in 'V' is not in dataset\.json"),
        ('"block_hashes":[', '"block_hashes":[null,', True, r"block_hashes\[0\] is None"),
        ('"first_example":1,', '"first_example":3,', True, "line 2: first_example must be 1; got"),
        ('"record_id"', '"recrod_id"', True, "unknown key 'recrod_id'.*'record_id'"),
    ],
)
def test_an_index_that_was_changed_is_named(old, new, fitting, message, copied):
    folder = copied("prepared")
    text = (folder / "recordings.jsonl").read_text()
    assert old in text
    if fitting:
        rewrite_index(folder, text.replace(old, new, 1))
    else:
        (folder / "recordings.jsonl").write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=rf"recordings\.jsonl.*{message}.*--overwrite"):
        PreparedSource(folder)


def test_a_shard_of_another_data_set_is_named(copied, originals):
    folder = copied("prepared")
    first, second = sorted(folder.glob("*array_record*"))[:2]
    shutil.copyfile(first, second)
    with pytest.raises(DataError, match=r"is damaged: expected recording \w+, found p0_0"):
        read_all(folder)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_changed_byte_of_a_table_is_found(kind, copied):
    folder = copied(kind)
    path = next(p for p in folder.iterdir() if p.name.startswith("features-"))
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), max(1, len(content) // 40)):
        changed = bytearray(content)
        changed[position] ^= 4
        path.write_bytes(changed)
        with pytest.raises(DataError, match=rf"{path.name} is damaged or from another extraction"):
            read_features(folder)


@pytest.mark.parametrize("make", MAKE_NO_FILE)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *FILES,
        ("prepared", "recordings.jsonl"),
        ("prepared", "waves-recordings.array_record-00000-of-00006"),
        ("npz", "features-00000-of-00001.npz"),
    ],
)
def test_what_is_no_file_is_rejected_at_once(kind, name, make, copied):
    folder = copied(kind)
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(DataError, match=name):
        READERS[kind](folder)


@pytest.mark.parametrize("kind", READERS)
def test_links_to_files_are_followed(kind, copied, originals):
    folder = copied(kind)
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        path.unlink()
        path.symlink_to(originals[kind] / path.relative_to(folder))
    READERS[kind](folder)


@pytest.mark.parametrize("kind", READERS)
def test_a_folder_copied_in_part_is_named(kind, copied):
    folder = copied(kind)
    # What tfds would read is for others.
    unread = ("dataset_info.json", "features.json", "report.json", "report.md")
    for path in [p for p in folder.iterdir() if p.name not in unread]:
        moved = path.rename(path.with_name(".away"))
        with pytest.raises(DataError, match=str(folder)):
            READERS[kind](folder)
        moved.rename(path)
    READERS[kind](folder)


def test_folders_with_odd_digits_are_no_versions(copied, tmp_path):
    folder = copied("prepared")
    for name in ("1.0.²", "1.0.٣", "1.0." + "9" * 200):
        shutil.copytree(folder, tmp_path / "waves" / name)
    assert find_prepared(tmp_path, "waves") is None
