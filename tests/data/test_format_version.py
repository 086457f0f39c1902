"""Every format states its version; what another version wrote is rejected by name, untouched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs import retrieval
from physio_mae_jax.commands.pretrain import build_pretraining
from physio_mae_jax.commands.probe import build_probe
from physio_mae_jax.commands.retrieve import build_retrieval
from physio_mae_jax.data.format_version import (
    FORMAT_VERSION,
    VERSION_KEY,
    VersionError,
    add_version,
    check_version,
)
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.prepared_index import METADATA_FILE
from physio_mae_jax.data.sealed_json import SEAL, add_seal
from physio_mae_jax.data.splits import read_split
from physio_mae_jax.errors import UserError
from physio_mae_jax.evaluation.calibration import Calibration, load_calibration
from physio_mae_jax.experiment.run_directory import read_run
from physio_mae_jax.experiment.sweep import record_settings
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.export import read_calling
from physio_mae_jax.inference.feature_store.files import read_features
from physio_mae_jax.inference.saved_model import load_model
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.preparation.staging import reject_existing
from physio_mae_jax.training.work_folder import lock_workdir
from tests.data.test_sealed_json import write_features
from tests.encoders import write_run
from tests.prepared import waves
from tests.runs import evaluation_config, pretraining_config, typed

UNVERSIONED = r"states no 'format_version', so physio_mae_jax 0\.1 or another program wrote it"


def rewrite(path: Path, version: str | None) -> None:
    """Give a JSON file another version, or none as version 0.1 did."""
    content = json.loads(path.read_text(encoding="utf-8"))
    had_seal = content.pop(SEAL, None)
    del content[VERSION_KEY]
    if version is not None:
        content[VERSION_KEY] = version
    if had_seal is not None:
        seal = add_seal(content)[SEAL]
        if version is None:
            del seal[VERSION_KEY]
        content[SEAL] = seal
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything that the program writes and reads again."""
    root = tmp_path_factory.mktemp("originals")
    waves(root / "data", subjects=3)
    write_features(root / "features", "npz")
    write_run(root / "run")
    encoder = Encoder.from_checkpoint(root / "run")
    encoder.save_pretrained(root / "saved")
    encoder.export(root / "encoder.bin", platforms=["cpu"])
    calibration = Calibration(kind="regression", classes=("age",))
    (root / "calibration.json").write_text(json.dumps(add_seal(calibration.to_json())))
    return root


# What is changed, and what reads it.
READERS: dict[str, Callable[[Path], Any]] = {
    "features/index.json": lambda root: read_features(root / "features"),
    "saved/config.json": lambda root: load_model(root / "saved"),
    "encoder.bin.json": lambda root: read_calling(root / "encoder.bin"),
    "calibration.json": lambda root: load_calibration(root / "calibration.json"),
    f"data/waves/1.0.0/{METADATA_FILE}": lambda root: PreparedSource(root / "data/waves/1.0.0"),
    "run/checkpoints/1/checksums.json": lambda root: load_checkpoint(root / "run"),
}


@pytest.mark.parametrize("name", READERS)
def test_every_format_is_read_in_its_version_only(originals, name, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(originals, root)
    READERS[name](root)
    for version, message in ((None, UNVERSIONED), ("0.3", "has format version '0.3'")):
        shutil.copy(originals / name, root / name)
        rewrite(root / name, version)
        with pytest.raises(VersionError, match=message) as error:
            READERS[name](root)
        assert "this program reads version 0.2" in str(error.value)


def test_a_checkpoint_that_version_0_1_wrote_is_rejected(originals, tmp_path):
    shutil.copytree(originals / "run", tmp_path / "run")
    step = tmp_path / "run/checkpoints/1"
    (step / "model_spec").rename(step / "contract")
    rewrite(step / "checksums.json", None)
    with pytest.raises(VersionError, match=UNVERSIONED):
        load_checkpoint(tmp_path / "run")
    assert (step / "contract").is_dir()


def test_a_data_set_that_version_0_1_prepared_is_rejected(originals, tmp_path):
    shutil.copytree(originals / "data", tmp_path / "data")
    folder = tmp_path / "data/waves/1.0.0"
    (folder / METADATA_FILE).rename(folder / "contract.json")
    assert find_prepared(tmp_path / "data", "waves") == folder
    with pytest.raises(VersionError, match=UNVERSIONED):
        PreparedSource(folder)
    with pytest.raises(VersionError, match=r"prepare: with --overwrite"):
        reject_existing(folder, overwrite=False)
    reject_existing(folder, overwrite=True)


def test_a_split_of_another_version_is_rejected(pretrained, tmp_path):
    path = tmp_path / "split.json"
    shutil.copy(pretrained / "split.json", path)
    assert read_split(path).subjects["train"]
    rewrite(path, None)
    with pytest.raises(VersionError, match=UNVERSIONED):
        read_split(path)


def test_a_run_of_another_version_is_no_start_of_anything(waves_root, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    rewrite(run / "config.json", None)
    with pytest.raises(VersionError, match=rf"config\.json {UNVERSIONED}"):
        read_run(str(run))
    with pytest.raises(VersionError, match=UNVERSIONED):
        build_pretraining(typed(pretraining_config(waves_root)), run)
    config = evaluation_config(waves_root, "probe", init_from=str(run))
    with pytest.raises(VersionError, match=UNVERSIONED):
        build_probe(typed(config), tmp_path / "probe", strict=False)
    config = retrieval.get_config()
    config.init_from = str(run)
    with pytest.raises(VersionError, match=UNVERSIONED):
        build_retrieval(typed(config), tmp_path / "retrieval", strict=False)


@pytest.mark.parametrize("name", ["config.json", "index.json", "evaluation.json", "settings.json"])
def test_a_folder_of_another_version_is_not_written_to(name, tmp_path):
    (tmp_path / name).write_text(json.dumps({"step": 1}), encoding="utf-8")
    with pytest.raises(VersionError, match=UNVERSIONED), lock_workdir(tmp_path):
        pytest.fail("the folder was taken")
    assert json.loads((tmp_path / name).read_text(encoding="utf-8")) == {"step": 1}


def test_a_folder_of_this_version_is_taken(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(add_seal({"step": 1})), encoding="utf-8")
    with lock_workdir(tmp_path):
        pass


def test_settings_of_a_sweep_of_another_version_are_rejected(waves_root, tmp_path):
    config = typed(pretraining_config(waves_root))
    record_settings(config, tmp_path, ())
    rewrite(tmp_path / "settings.json", None)
    with pytest.raises(VersionError, match=UNVERSIONED):
        record_settings(config, tmp_path, ())


def test_a_version_is_added_and_taken_off():
    content = {"a": 1, "b": [2]}
    assert add_version(content) == {VERSION_KEY: FORMAT_VERSION, **content}
    assert check_version(add_version(content), "x") == content
    for wrong in (None, [], {"a": 1}, {VERSION_KEY: None}, {VERSION_KEY: np.pi}):
        with pytest.raises(VersionError, match=r"x (states no|has) "):
            check_version(wrong, "x")
    assert issubclass(VersionError, UserError)
