"""Runs and models of strangers: no change of them goes unnoticed, none is too large."""

import gc
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.inference.model_card import Card
from physio_mae_jax.inference.saved_model import load_model, save_model
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.training.integrity import CHECKSUMS, write_checksums
from tests.encoders import untrained, write_run
from tests.tampering import MAKE_NO_FILE, resealed, tally


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("originals")
    return {
        "run": write_run(root / "run"),
        "shared": save_model(untrained(), root / "shared", Card()),
    }


READERS: dict[str, Callable[[Path], Any]] = {"run": load_checkpoint, "shared": load_model}


@pytest.fixture
def copied(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    def copy(kind: str) -> Path:
        return Path(shutil.copytree(originals[kind], tmp_path / kind))

    return copy


FILES = [("shared", "config.json"), ("run", f"checkpoints/1/{CHECKSUMS}")]


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


@pytest.mark.parametrize("make", MAKE_NO_FILE)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("shared", "config.json"),
        ("shared", "model.safetensors"),
        ("run", "checkpoints/1/model_spec/metadata"),
        ("run", "checkpoints/1/trained_on/metadata"),
    ],
)
def test_what_is_no_file_is_rejected_at_once(kind, name, make, copied):
    folder = copied(kind)
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(UserError, match=name.removeprefix("checkpoints/1/")):
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
    # What Orbax writes for itself after all else, and what is for subjects.
    unneeded = ("README.md", "1/_CHECKPOINT_METADATA", "1/commit_success.txt")
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in [path for path in files if not path.as_posix().endswith(unneeded)]:
        moved = path.rename(path.with_name(".away"))
        with pytest.raises(UserError, match=str(folder)):
            READERS[kind](folder)
        moved.rename(path)
    READERS[kind](folder)


def test_folders_with_odd_digits_are_no_steps(copied):
    run = copied("run")
    for name in ("²", "٣", "01"):
        (run / "checkpoints" / name).mkdir()
    load_checkpoint(run)


def test_a_contract_that_contradicts_itself_is_named_though_its_hashes_fit(copied):
    folder = copied("shared")
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["model_spec"]["input"]["sampling_rate_hz"] = 50.0
    path.write_text(json.dumps(resealed(content)))
    with pytest.raises(DataError, match=r"input\.sampling_rate_hz is 50\.0, but model"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_scales", 10**6), ("num_scales", 10**9), ("depth", 10**6), ("width", 2**40)],
)
def test_models_too_large_to_be_true_are_rejected_at_once(name, value, copied):
    folder = copied("shared")
    path = folder / "config.json"
    content = json.loads(path.read_text())
    model = content["model_spec"]["model"]
    (model["wavelet"] if name in model["wavelet"] else model)[name] = value
    path.write_text(json.dumps(resealed(content)))
    with pytest.raises(DataError, match=r"config\.json"):
        load_model(folder)


def test_a_model_whose_training_failed_is_named(copied):
    import safetensors.numpy

    folder = copied("shared")
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    arrays["encoder/stack/norm/scale"] = np.full_like(arrays["encoder/stack/norm/scale"], np.nan)
    content = safetensors.numpy.save(arrays)
    (folder / "model.safetensors").write_bytes(content)
    description = json.loads((folder / "config.json").read_text())
    description["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "config.json").write_text(json.dumps(resealed(description)))
    with pytest.raises(
        DataError, match="'encoder/stack/norm/scale' has values that are not finite"
    ):
        load_model(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "owner/" + "m" * 5000, "a\0b", "~nobody_at_all/x"])
def test_names_that_no_folder_can_have(name):
    for load in (load_model, load_checkpoint):
        with pytest.raises(UserError) as caught:
            load(name)
        assert len(str(caught.value)) < 900


# Orbax leaves its other reads unfinished when one fails, which Python reports once they are freed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["trained_on", "model_spec"])
def test_descriptions_in_checkpoints_are_checked_though_their_checksums_fit(name, copied):
    folder = copied("run")
    path = folder / "checkpoints" / "1" / name / "metadata"

    def read() -> None:
        write_checksums(folder / "checkpoints" / "1")
        load_checkpoint(folder)

    found = tally(path, read, seal=False, step=67 if name == "model_spec" else 9)
    assert "raw" not in found, found["raw"]
    for content in ("[" * 100_000, "3", "", '{"subjects": NaN}'):
        path.write_text(content)
        with pytest.raises(UserError, match="metadata"):
            read()
    gc.collect()
