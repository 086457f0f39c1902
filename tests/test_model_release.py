"""From the work folder of a run to a model that is loaded by its name."""

import hashlib
import json
import shutil
import sys
import tarfile
import types
from pathlib import Path

import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.data.data_summary import DataSetSummary
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.experiment.run_record import RunRecord
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.model_release.archive import write_archive
from physio_mae_jax.model_release.card_text import compose_card
from physio_mae_jax.model_release.checks import (
    check_finished,
    check_pretraining,
    check_release,
)
from physio_mae_jax.model_release.hub import upload
from physio_mae_jax.model_release.packing import ReleaseConfig, pack_release
from tests.shipped import shipped_from, write_shipped
from tests.tampering import resealed

FILES = {"README.md", "config.json", "learning_curves.jsonl", "model.safetensors", "training.json"}


def release_config(run, out, **changes):
    settings = {"workdir": run, "name": "physio-test", "out": out, "license": "CC-BY-4.0"}
    return ReleaseConfig(**settings | changes)


@pytest.fixture(scope="module")
def released(pretrained, tmp_path_factory):
    out = tmp_path_factory.mktemp("releases")
    report = out / "comparison.md"
    report.write_text("# Compared\n\n| model | AUROC |\n", encoding="utf-8")
    return pack_release(release_config(pretrained, out, evaluations=(report,)))


def test_a_release_is_loaded_by_its_name_and_embeds_as_its_run(released, pretrained):
    assert {path.name for path in released.folder.iterdir()} == FILES
    assert released.cosine > 0.9999
    with shipped_from(released.folder.parent):
        loaded = Encoder.from_pretrained("physio-test", num_devices=1)
    wanted = load_checkpoint(pretrained)
    assert loaded.trained.trained_on.to_json() == wanted.trained_on.to_json()
    assert loaded.trained.model_spec == wanted.model_spec


def test_the_card_has_data_cost_results_and_limits(released):
    card = (released.folder / "README.md").read_text(encoding="utf-8")
    for text in ("# physio-test", "| waves 1.0.0 |", "hours of cpu", "### Compared", "## Limits"):
        assert text in card


def test_nothing_of_the_machine_is_released(released, pretrained, waves_root):
    for path in released.folder.iterdir():
        content = path.read_bytes()
        assert str(pretrained).encode() not in content, path
        assert str(waves_root).encode() not in content, path


def test_the_archive_has_the_files_and_their_hash_and_is_reproducible(released):
    archive = released.archive
    with tarfile.open(archive) as packed:
        members = packed.getmembers()
    assert {Path(member.name).name for member in members} == FILES
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(0, 0, "")}
    content = archive.read_bytes()
    stated, name = Path(f"{archive}.sha256").read_text(encoding="utf-8").split()
    assert (stated, name) == (hashlib.sha256(content).hexdigest(), "physio-test.tar.gz")
    assert write_archive(released.folder).read_bytes() == content


def test_a_release_replaces_an_earlier_one_only_when_all_checks_pass(
    pretrained, tmp_path, monkeypatch
):
    before = write_shipped(tmp_path, "physio-test")
    content = (before / "model.safetensors").read_bytes()

    def fail(folder, trained):
        raise DataError("wrong")

    with monkeypatch.context() as patch:
        patch.setattr("physio_mae_jax.model_release.packing.check_release", fail)
        with pytest.raises(DataError, match="wrong"):
            pack_release(release_config(pretrained, tmp_path))
    assert (before / "model.safetensors").read_bytes() == content
    pack_release(release_config(pretrained, tmp_path))
    assert {path.name for path in before.iterdir()} == FILES
    assert not list(tmp_path.glob(".partial*"))


def test_a_folder_that_is_no_model_is_kept(pretrained, tmp_path):
    (tmp_path / "physio-test").mkdir()
    with pytest.raises(ConfigError, match="is no model folder"):
        pack_release(release_config(pretrained, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../x"}, r"--name='\.\./x' must be words"),
        ({"name": "Physio"}, "must be words of lower-case"),
        ({"license": " "}, "--license is empty"),
    ],
)
def test_wrong_settings_are_reported(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        release_config(tmp_path, tmp_path, **changes)


def test_only_a_pretraining_is_released(pretrained, tmp_path):
    check_pretraining(pretrained)
    with pytest.raises(ConfigError, match=r"--run=.* is not the work folder of a run"):
        pack_release(release_config(tmp_path / "none", tmp_path / "out"))
    content = json.loads((pretrained / "config.json").read_text(encoding="utf-8"))
    content["config"]["command"] = "finetune"
    (tmp_path / "config.json").write_text(json.dumps(resealed(content)), encoding="utf-8")
    with pytest.raises(ConfigError, match="was a 'finetune' run; only a pre-trained model"):
        check_pretraining(tmp_path)


def test_an_unfinished_run_is_not_released(tmp_path):
    config = {"loop": {"num_steps": 10}}
    check_finished(10, config, tmp_path)
    with pytest.raises(DataError, match="is at step 4 of 10; run the command"):
        check_finished(4, config, tmp_path)


def test_a_folder_of_another_model_is_found(released, pretrained, tmp_path):
    other = load_checkpoint(pretrained)
    shuffled = shutil.copytree(released.folder, tmp_path / "other")
    encoder = dict(other.params["encoder"])
    encoder["tokenizer"] = {name: _negated(value) for name, value in encoder["tokenizer"].items()}
    changed = other._replace(params={**other.params, "encoder": encoder})
    with pytest.raises(DataError, match="cosine of"):
        check_release(shuffled, changed)


def _negated(value):
    if isinstance(value, dict):
        return {name: _negated(inner) for name, inner in value.items()}
    return -value


def test_a_card_says_what_is_not_known():
    record = RunRecord(
        config={
            "batch_size": 4,
            "seed": 0,
            "objective": {"mask": {"kind": "tube", "mask_ratio": 0.75}},
            "optimizer": {"peak_learning_rate": 1e-3},
        },
        data=(DataSetSummary(name="mine", num_recordings=1, num_subjects=1, hours=1, channels=()),),
        num_steps=3,
        device_hours={},
        errors={},
        versions={},
    )
    card = compose_card(record, name="m", license="MIT", evaluations=[], has_curves=True)
    assert "| mine | 1 | 1 | 1.0 | not stated | not stated |" in card.training_data
    assert "not recorded" in card.training
    assert "learning_curves.png" in card.training


def test_an_upload_needs_the_library_and_tells_what_failed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match="pip install huggingface_hub"):
        upload(tmp_path, "owner/model")

    class Hub:
        def create_repo(self, name, exist_ok):
            if name == "owner/closed":
                raise PermissionError("401")

        def upload_folder(self, repo_id, folder_path):
            return f"https://{repo_id}/{folder_path.name}"

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(HfApi=Hub))
    assert upload(tmp_path, "owner/model") == f"https://owner/model/{tmp_path.name}"
    with pytest.raises(UserError, match=r"failed .PermissionError: 401"):
        upload(tmp_path, "owner/closed")


def test_the_description_states_the_license(released):
    described = json.loads((released.folder / "config.json").read_text(encoding="utf-8"))
    assert described["license"] == "CC-BY-4.0"
    assert described["dtype"] == "float16"
