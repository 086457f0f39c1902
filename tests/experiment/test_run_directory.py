"""A run is resumed from its folder, or left alone; other settings are reported or rejected."""

import json
import logging
import shutil

import pytest

from physio_mae_jax.commands.evaluate import build_evaluation
from physio_mae_jax.commands.finetune import build_finetuning
from physio_mae_jax.commands.pretrain import build_pretraining
from physio_mae_jax.data.format_version import add_version
from physio_mae_jax.errors import ConfigError
from tests.runs import finetuning_config, head_config, pretraining_config, typed
from tests.tampering import resealed


@pytest.fixture
def begun(pretrained, tmp_path):
    return shutil.copytree(pretrained, tmp_path / "run")


def test_another_seed_is_rejected_and_the_description_stays(waves_root, begun):
    before = (begun / "config.json").read_bytes()
    config = pretraining_config(waves_root, seed=1)
    with pytest.raises(ConfigError, match=r"seed=1 differs from 0 of the run .*\. Restore"):
        build_pretraining(typed(config), begun)
    assert (begun / "config.json").read_bytes() == before


def test_changed_settings_are_logged_by_name(waves_root, begun, caplog):
    config = pretraining_config(waves_root, **{"optimizer.peak_learning_rate": 1e-5})
    with caplog.at_level(logging.WARNING):
        build_pretraining(typed(config), begun)
    assert "resuming with changed settings: optimizer.peak_learning_rate" in caplog.text
    written = json.loads((begun / "config.json").read_text(encoding="utf-8"))
    assert written["config"]["optimizer"]["peak_learning_rate"] == 1e-5


def test_resume_with_same_settings_logs_nothing(waves_root, begun, caplog):
    with caplog.at_level(logging.WARNING):
        build_pretraining(typed(pretraining_config(waves_root)), begun)
    assert "changed settings" not in caplog.text


def test_run_out_of_memory_resumes_with_remat(waves_root, begun):
    config = pretraining_config(waves_root, **{"model.remat": "full"})
    assert build_pretraining(typed(config), begun).model_spec["model"]["remat"] == "full"
    config.model.depth += 1
    with pytest.raises(ConfigError, match=r"model\.depth"):
        build_pretraining(typed(config), begun)


def test_settings_that_change_examples_or_state_are_rejected(waves_root, tmp_path):
    run = build_finetuning(typed(finetuning_config(waves_root)), tmp_path, strict=False)
    saved = tmp_path / "checkpoints" / "1" / "model_spec"
    saved.mkdir(parents=True)
    (saved / "metadata").write_text(
        json.dumps(add_version(run.training.model_spec)), encoding="utf-8"
    )
    config = finetuning_config(waves_root, label_fraction=0.5)
    with pytest.raises(ConfigError, match=r"label_fraction=0\.5 differs from 1\.0 of the run"):
        build_finetuning(typed(config), tmp_path, strict=False)
    config = finetuning_config(waves_root, ema_decay=0.0)
    with pytest.raises(ConfigError, match=r"ema_decay=0\.0, but .* with 0\.9; an average"):
        build_finetuning(typed(config), tmp_path, strict=False)
    config = finetuning_config(waves_root, **{"data.sets": "waves:2"})
    with pytest.raises(ConfigError, match=r"data\.sets='waves:2' differs from 'waves'"):
        build_finetuning(typed(config), tmp_path, strict=False)


def test_run_of_another_command_is_kept(waves_root, begun):
    description = json.loads((begun / "config.json").read_text(encoding="utf-8"))
    description["config"]["command"] = "finetune"
    (begun / "config.json").write_text(json.dumps(resealed(description)), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a 'finetune' run, which 'pretrain' would overwrit"):
        build_pretraining(typed(pretraining_config(waves_root)), begun)


def test_run_older_than_a_setting_resumes_with_its_default(waves_root, begun, caplog):
    description = json.loads((begun / "config.json").read_text(encoding="utf-8"))
    del description["config"]["model"]["attention_block_seconds"]
    (begun / "config.json").write_text(json.dumps(resealed(description)), encoding="utf-8")
    for path in begun.glob("checkpoints/*/model_spec/metadata"):
        model_spec = json.loads(path.read_text(encoding="utf-8"))
        del model_spec["model"]["attention_block_seconds"]
        path.write_text(json.dumps(model_spec), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        build_pretraining(typed(pretraining_config(waves_root)), begun)
    assert "changed settings" not in caplog.text
    config = pretraining_config(waves_root, **{"model.attention_block_seconds": 1.0})
    with pytest.raises(
        ConfigError, match=r"attention_block_seconds: 0\.0 in the run, 1\.0 in the config"
    ):
        build_pretraining(typed(config), begun)


def test_a_run_is_not_evaluated_in_its_own_folder(pretrained):
    with pytest.raises(ConfigError, match=r"is the folder of the evaluated run, whose report"):
        build_evaluation(
            typed(head_config(pretrained)), pretrained / ".." / pretrained.name, strict=False
        )
