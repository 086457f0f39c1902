"""An auxiliary task is trained beside the task, and nothing else knows of it."""

import jax
import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.evaluate import build_evaluation, evaluate_run
from physio_mae_jax.commands.finetune import finetune
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.sharding import shard_batch
from tests.runs import head_config, read_json, reported, typed
from tests.training.fine_tunings import assert_same, build, take_steps


def test_both_tasks_are_learned_and_only_the_outputs_of_one_are_kept(
    waves_root, pretrained, tmp_path, monkeypatch
):
    monkeypatch.setattr(atomic_files, "write_figure", lambda path, figure: None)
    changes = {"auxiliary.task": "flags", "label_fraction": 0.5}
    run = build(waves_root, tmp_path / "run", init_from=str(pretrained), **changes)
    training = run.instances["train"]
    assert training.auxiliary.values.shape == (len(training), 3) == (12, 3)
    assert run.instances["validation"].auxiliary is run.instances["test"].auxiliary is None
    evaluation = finetune(run)
    assert [one.name for one in evaluation.by_class] == ["slow", "fast"]
    losses = [record["auxiliary_loss"] for record in reported(tmp_path / "run", "train")]
    assert 0 < losses[-1] < np.log(2)  # of a coin
    assert "| auxiliary task | flags |" in (tmp_path / "run" / "evaluation.md").read_text("utf-8")
    stored = read_json(tmp_path / "run" / "split.json")
    assert "flags" not in str(stored)
    with Checkpoints(tmp_path / "run" / "best", 1) as best:
        assert len(best.model_spec()["labels"]["names"]) == 2
    again = evaluate_run(
        build_evaluation(typed(head_config(tmp_path / "run")), tmp_path / "again", strict=True)
    )
    expected = evaluation.overall["macro_auroc"].value
    assert again.overall["macro_auroc"].value == pytest.approx(expected, abs=1e-6)


def test_a_weight_of_0_trains_the_task_alone(waves_root, pretrained, tmp_path):
    states = {}
    for weight in (0.0, 1.0):
        changes = {"auxiliary.task": "flags", "auxiliary.weight": weight}
        run = build(waves_root, tmp_path / str(weight), init_from=str(pretrained), **changes)
        first, _, after = take_steps(run, 2)  # the rate of the first is 0
        kept = run.trainable.spec.final_params(after.params)
        assert kept["output"]["kernel"].shape[-1] == 2
        states[weight] = first.params, after.params
    for weight, moves in ((0.0, False), (1.0, True)):
        before, after = states[weight]
        # Adam turns any gradient into a step, and no gradient into none but weight decay.
        bias = np.abs(after["output"]["bias"] - before["output"]["bias"])
        assert (bias[:2] > 0).all()
        assert (bias[2:] > 0).all() == moves
    assert_same(states[0.0][0], states[1.0][0])


def test_unknown_labels_and_mixed_windows_have_no_part_in_the_loss(
    waves_root, pretrained, tmp_path
):
    changes = {"auxiliary.task": "flags", "objective.mixup": 0.5}
    run = build(waves_root, tmp_path, init_from=str(pretrained), **changes)
    state = run.trainable.start(jax.random.key(0), run.trainable.mesh)
    batch = next(run.training.training)
    inputs = {name: batch[name] for name in run.trainable.inputs}
    step, found = run.trainable.compile_step(run.trainable.mesh), []
    for auxiliary in (inputs["auxiliary"], np.full_like(inputs["auxiliary"], -1)):
        copy = jax.tree.map(lambda leaf: leaf.copy(), state)
        sharded = shard_batch(inputs | {"auxiliary": auxiliary}, run.trainable.mesh)
        found.append(jax.device_get(step(copy, sharded)[1]))
    assert found[0]["auxiliary_loss"] > 0
    assert found[1]["auxiliary_loss"] == 0
    alone = found[0]["loss"] - 0.5 * found[0]["auxiliary_loss"]
    np.testing.assert_allclose(found[1]["loss"], alone, rtol=1e-5)


WRONG = [
    ({"auxiliary.task": "wave"}, ConfigError, "auxiliary.task='wave' .*which is the same task"),
    ({"auxiliary.task": "flag"}, DataError, "flag"),
    ({"auxiliary.task": "beat"}, DataError, "labels events, not whole recordings"),
    ({"auxiliary.task": "flags", "head.arcface": True}, ConfigError, "set head.arcface=False"),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG)
def test_tasks_that_cannot_be_trained_beside_are_named(
    waves_root, tmp_path, changes, error, message
):
    with pytest.raises(error, match=message):
        build(waves_root, tmp_path, **changes)


def test_a_convolutional_baseline_has_auxiliary_outputs_too(waves_root, tmp_path):
    changes = {"auxiliary.task": "flags", "architecture": "resnet1d_wang"}
    run = build(waves_root, tmp_path, **changes)
    shapes = jax.eval_shape(run.trainable.init_state, jax.random.key(0)).params
    assert shapes["output"]["kernel"].shape[-1] == 5
