"""A model pre-trained on some number of channels is used and fine-tuned on any other."""

import json
import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.retrieval import get_config as retrieval_config
from physio_mae_jax import atomic_files
from physio_mae_jax.commands.evaluate import build_evaluation, evaluate_run
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.commands.pretrain import build_pretraining
from physio_mae_jax.commands.probe import build_probe, evaluate_probe
from physio_mae_jax.commands.retrieve import build_retrieval
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment import run_directory
from physio_mae_jax.training.init_transform import InitTransform
from physio_mae_jax.training.optimizer import OptimizerConfig, make_optimizer
from tests.encoders import write_contrastive_run, write_run
from tests.prepared import waves
from tests.runs import evaluation_config, finetuning_config, head_config, pretraining_config, typed
from tests.training.pretrained_shapes import pretrained_shapes


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(atomic_files, "write_figure", lambda path, figure: None)


def test_what_is_excluded_or_new_is_counted_and_named():
    _, encoder, _ = pretrained_shapes("v3", 2)
    blocks = dict(encoder["stack"]["blocks"])
    removed = [blocks.pop(name) for name in ("channel_attention", "channel_norm", "smoothing")]
    one = {**encoder, "stack": {**encoder["stack"], "blocks": blocks}}
    count = len(jax.tree.leaves(removed))
    (note,) = InitTransform(encoder).merge_into(one).notes()
    groups = "stack/blocks/channel_attention, stack/blocks/channel_norm, stack/blocks/smoothing"
    assert f"{count} trained arrays are not used ({groups})" in note
    (note,) = InitTransform(one).merge_into(encoder).notes()
    assert f"{count} arrays are new ({groups})" in note
    assert InitTransform(encoder).merge_into(encoder).notes() == []


def test_an_array_of_another_shape_is_named():
    given = {"tokenizer": {"position": np.zeros((3, 2))}}
    with pytest.raises(ConfigError, match=r"array tokenizer/position .* \(3, 2\), \(4, 2\) is exp"):
        InitTransform(given).merge_into({"tokenizer": {"position": np.zeros((4, 2))}})


def test_attention_across_channels_begins_as_adding_nothing():
    _, encoder, _ = pretrained_shapes("contrastive", 2)
    _, new, _ = pretrained_shapes("v3", 2)
    new = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), new)
    merged = InitTransform(encoder, channel_independent=True).merge_into(new)
    assert "2 arrays are initialized to 0 (stack/blocks/channel_attention)" in merged.notes()[-1]
    attention = merged.params["stack"]["blocks"]["channel_attention"]
    assert not np.any(attention["output"]["kernel"])
    assert np.all(attention["qkv"]["kernel"] == 1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Work folders of models of many channels and of pairs seen one by one."""
    root = tmp_path_factory.mktemp("runs")
    return {
        "v3": write_run(root / "v3"),
        "contrastive": write_contrastive_run(root / "contrastive"),
    }


def short(root, **changes):
    settings = {"loop.num_steps": 2, "loop.log_every_steps": 2, "loop.evaluate_every_steps": 2}
    settings |= {"loop.checkpoint_every_steps": 2, "optimizer.warmup_steps": 1}
    return finetuning_config(root, **settings | {"evaluation.num_resamples": 10} | changes)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("frozen_blocks", [-1, 2])
def test_many_channels_are_fine_tuned_on_one_and_evaluated_on_two(
    waves_root, runs, tmp_path, caplog, frozen_blocks
):
    caplog.set_level(logging.INFO)
    waves(tmp_path, name="single", channels=1)
    changes = {"init_from": str(runs["v3"]), "data.sets": "single", "data.channels": ""}
    config = short(tmp_path, frozen_blocks=frozen_blocks, **changes)
    finetune(build_finetuning(typed(config), tmp_path / "one", strict=False))
    assert "trained arrays are not used (stack/blocks/channel_attention" in caplog.text
    if frozen_blocks < 0:
        return
    # The same head on windows of two channels: what they would exchange is 0.
    config = head_config(tmp_path / "one", **{"data.sets": "waves", "data.root": str(waves_root)})
    evaluated = evaluate_run(build_evaluation(typed(config), tmp_path / "evaluated", strict=False))
    assert "trained on 1 channels, 2 given" in caplog.text
    assert evaluated.num_subjects == 6


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("name", ["v3", "contrastive"])
@pytest.mark.parametrize("channels", ["PPG", "II,PPG"])
def test_a_probe_takes_any_number_of_channels(waves_root, runs, tmp_path, name, channels):
    config = evaluation_config(
        waves_root,
        "probe",
        init_from=str(runs[name]),
        encoders="pretrained,random",
        **{"data.channels": channels},
    )
    assert evaluate_probe(build_probe(typed(config), tmp_path, strict=False)).num_subjects == 6


def test_a_run_is_not_resumed_on_other_channels(waves_root, pretrained, tmp_path):
    begun = shutil.copytree(pretrained, tmp_path / "run")
    config = pretraining_config(waves_root, **{"data.channels": "II"})
    with pytest.raises(ConfigError, match=r"input\.num_channels: 2 in the run, 1 in the config"):
        build_pretraining(typed(config), begun)


def test_retrieval_on_one_channel_is_rejected_by_name(waves_root, runs, tmp_path, monkeypatch):
    settings = {"command": "pretrain", "seed": 0, "data": short(waves_root).data.to_dict()}
    settings["data"] |= {
        "channels": "II",
        "split_rule": "fold=1-2|3|",
        "speed_perturbation": (1.0, 1.0),
    }
    settings = json.loads(json.dumps(settings))
    monkeypatch.setattr(run_directory, "read_run", lambda folder: settings)
    config = retrieval_config()
    config.init_from = str(runs["contrastive"])
    with pytest.raises(ConfigError, match=r"aligns 2 modalities, but .* 1 channels \(II\)"):
        build_retrieval(typed(config), tmp_path, strict=False)


def test_every_optimizer_state_follows_the_merged_parameters():
    """The failure this file is about: moments made before arrays were added."""
    optimizer = make_optimizer(OptimizerConfig(peak_learning_rate=1e-3), 4)
    params = {"encoder": {"a": {"kernel": jnp.ones(2)}}}
    state = optimizer.init(params)
    more = {"encoder": {"a": {"kernel": jnp.ones(2)}, "b": {"kernel": jnp.ones(2)}}}
    merged = InitTransform(more["encoder"]).merge_into(params["encoder"])
    optimizer.update(params, state, {"encoder": merged.params})
