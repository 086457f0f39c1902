"""What a fine-tuning begins with, and which model it keeps."""

import dataclasses
import functools
import json
import logging
import re

import jax
import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.evaluate import build_evaluation
from physio_mae_jax.commands.finetune import finetune
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.experiment.run_directory import open_run
from physio_mae_jax.inference.compiled_encoder import encode_windows
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.interop.torch.convert import import_state_dict
from physio_mae_jax.models.position_embedding import resize_columns
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.loop import train
from physio_mae_jax.training.supervised_trainable import load_best
from tests.encoders import write_contrastive_run
from tests.factories import small_state_dict
from tests.runs import HookedIterator, head_config, read_json, reported, typed
from tests.training.fine_tunings import assert_same, build, take_steps

# Evaluated often, and over after ten steps without a better validation.
IMPATIENT = {"loop.evaluate_every_steps": 5, "loop.checkpoint_every_steps": 10, "patience": 2}


@pytest.fixture(scope="module")
def encoder(pretrained):
    """The encoder of the pre-training run, for windows of 6 s."""
    return open_run(str(pretrained), {}).trained["encoder"]


@pytest.fixture
def no_pictures(monkeypatch):
    """Nobody looks at them, and they take longer than the steps."""
    monkeypatch.setattr(atomic_files, "write_figure", lambda path, figure: None)


def final_state(run):
    abstract = jax.eval_shape(run.trainable.init_state, jax.random.key(0))
    with Checkpoints(run.training.workdir / "checkpoints", 1) as checkpoints:
        step = checkpoints.latest_step
        return step, checkpoints.restore(abstract, run.trainable.mesh)


def test_an_encoder_comes_whole_and_that_is_said(waves_root, pretrained, encoder, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    run = build(waves_root, tmp_path, init_from=str(pretrained), **{"labels.window_seconds": 6.0})
    assert_same(run.trainable.encoder.params, encoder)
    leaves = jax.tree.leaves(encoder)
    millions = sum(leaf.size for leaf in leaves) / 1e6
    size = f"{len(leaves)} arrays, {millions:.2f} M parameters of the encoder"
    line = f"loaded {size}, from {pretrained}"
    assert caplog.text.count(line) == 1


def test_another_window_stretches_the_positions_alone(
    waves_root, pretrained, encoder, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    run = build(waves_root, tmp_path, init_from=str(pretrained), **{"labels.window_seconds": 3.0})
    assert run.trainable.window_shape == (2, 300)
    ours, theirs = dict(run.trainable.encoder.params), dict(encoder)
    tokenizers = dict(ours.pop("tokenizer")), dict(theirs.pop("tokenizer"))
    ours_at, theirs_at = (tokenizer.pop("position") for tokenizer in tokenizers)
    assert_same(ours, theirs)
    assert_same(*tokenizers)
    assert len(theirs_at) == 30
    np.testing.assert_array_equal(ours_at, resize_columns(np.asarray(theirs_at), 15))
    assert re.search("interpolated the position .* from 30 to 15 columns", caplog.text)


@pytest.mark.usefixtures("no_pictures")
def test_resumed_equals_uninterrupted_up_to_its_early_end(waves_root, pretrained, tmp_path):
    def crash_at_14(step, batch):
        if step == 14:
            raise RuntimeError("power cut")

    def run_in(workdir, hook=None):
        run = build(waves_root, workdir, init_from=str(pretrained), **IMPATIENT)
        if hook:
            hooked = HookedIterator(run.training.training, hook)
            run = dataclasses.replace(
                run, training=dataclasses.replace(run.training, training=hooked)
            )
        train(run.training)
        return run

    whole = run_in(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="power cut"):
        run_in(tmp_path / "cut", crash_at_14)
    resumed = run_in(tmp_path / "cut")
    looks = reported(tmp_path / "whole", "validation")
    best = read_json(tmp_path / "whole" / "best" / "metric.json")
    # It ended early: after two looks without anything better, long before step 60.
    assert looks[-1]["step"] == best["step"] + 10 < 60
    assert max(look["macro_auroc"] for look in looks) == best["value"]
    assert reported(tmp_path / "cut") == reported(tmp_path / "whole")
    assert read_json(tmp_path / "cut" / "best" / "metric.json") == best
    states = [final_state(run) for run in (whole, resumed)]
    assert states[0][0] == looks[-1]["step"]
    assert_same(states[1], states[0])
    # Once over it stays over.
    train(build(waves_root, tmp_path / "cut", init_from=str(pretrained), **IMPATIENT).training)
    assert reported(tmp_path / "cut") == reported(tmp_path / "whole")


def test_a_channel_independent_encoder_starts_as_one_and_learns_to_mix_them(waves_root, tmp_path):
    """Its attention across channels was never trained: new and random, it would drown the rest."""
    start = str(write_contrastive_run(tmp_path / "start"))
    run = build(waves_root, tmp_path / "run", init_from=start, **{"labels.window_seconds": 4.0})
    before, *_, after = take_steps(run, 2)
    given = load_checkpoint(start).autoencoder_params["encoder"]
    config = run.trainable.spec.model.config
    batch = next(run.training.training)

    @functools.partial(jax.jit, static_argnums=1)
    def latents(params, alone):
        return encode_windows(config, params, batch, channel_independent=alone)

    begun = before.params["encoder"]
    np.testing.assert_allclose(latents(begun, False), latents(given, True), atol=1e-5)
    moved = after.params["encoder"]
    assert np.abs(latents(moved, False) - latents(moved, True)).max() > 1e-4


@pytest.mark.usefixtures("no_pictures")
def test_a_better_model_of_an_earlier_step_takes_the_place_of_the_best(
    waves_root, pretrained, tmp_path
):
    """The same for a run resumed from before its best step, with other settings."""
    run = build(waves_root, tmp_path, init_from=str(pretrained))
    _, first, second = take_steps(run, 2)
    values = iter([0.5, 0.9])
    trainable = dataclasses.replace(run.trainable, metric=lambda logits, targets: next(values))
    trainable.evaluate(second, 20)
    trainable.evaluate(first, 10)
    kept, _ = load_best(tmp_path, trainable.spec.model, trainable.window_shape, trainable.mesh)
    assert_same(kept, first.ema_params)
    assert read_json(tmp_path / "best" / "metric.json")["step"] == 10


@pytest.mark.usefixtures("no_pictures")
def test_weights_of_the_original_can_be_fine_tuned(waves_root, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    state, arguments = small_state_dict()
    np.savez(tmp_path / "weights.npz", **state)
    (tmp_path / "arguments.json").write_text(json.dumps(arguments), encoding="utf-8")
    run = build(
        waves_root,
        tmp_path / "run",
        strict=False,  # nobody knows what such weights were trained on
        torch_weights=str(tmp_path / "weights.npz"),
        torch_config=str(tmp_path / "arguments.json"),
        **{"loop.num_steps": 6},
    )
    _, imported = import_state_dict(state, arguments)
    assert_same(run.trainable.encoder.params["stack"], imported["encoder"]["stack"])
    assert "arrays, 0.00 M parameters of the encoder, from" in caplog.text
    assert run.context["contamination"].startswith("CONTAMINATION UNKNOWN")
    before = run.trainable.encoder.params
    train(run.training)
    _, after = final_state(run)
    assert all(record["loss"] > 0 for record in reported(tmp_path / "run", "train"))
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, after.params["encoder"])
    assert max(jax.tree.leaves(moved)) > 0


@pytest.mark.usefixtures("no_pictures")
def test_a_convolutional_baseline_is_trained_and_evaluated_again(waves_root, tmp_path):
    """Its running statistics are no parameters: they must be kept beside them."""
    changes = {"architecture": "resnet1d_wang", "loop.num_steps": 12, "ema_decay": 0.0}
    run = build(waves_root, tmp_path / "run", **changes)
    assert finetune(run).main.value > 0.9
    again = build_evaluation(typed(head_config(tmp_path / "run")), tmp_path / "again", strict=True)
    evaluated = Predictions.load(tmp_path / "run" / "predictions" / "test.npz")
    np.testing.assert_array_equal(again.predict(run.instances["test"]), evaluated.logits)
