"""Fine-tuning on classes of samples: from the settings to the report, and what is rejected."""

import re

import numpy as np
import pytest

from configs import evaluate, finetune, loso
from physio_mae_jax.commands.evaluate import build_evaluation, evaluate_run
from physio_mae_jax.commands.finetune import build_finetuning
from physio_mae_jax.commands.finetune import finetune as train_and_evaluate
from physio_mae_jax.commands.leave_one_out import build_leave_one_out
from physio_mae_jax.commands.probe import build_probe
from physio_mae_jax.errors import ConfigError
from tests.prepared import pulses
from tests.runs import SPLIT, head_config, read_json, reported, typed


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("pulses")
    pulses(root)
    return root


def on_pulses(config, root, **changes):
    config.num_devices = 1
    config.data.sets, config.data.root = "pulses", str(root)
    config.data.channels, config.data.split_rule = "II,PPG", SPLIT
    config.labels.task, config.labels.classes = "pulses", ""
    config.labels.window_seconds = 5.0
    config.update_from_flattened_dict(changes)
    return config


def config_of(root, **changes):
    config = finetune.get_config("preset=debug")
    config.head.kind = "convolution"
    config.optimizer.peak_learning_rate, config.optimizer.warmup_steps = 1e-2, 5
    config.loop.num_steps = config.loop.log_every_steps = 60
    config.loop.evaluate_every_steps = config.loop.checkpoint_every_steps = 60
    for name in config.data.augment:
        config.data.augment[name] = 0.0
    return on_pulses(config, root, **changes)


@pytest.fixture(scope="module")
def fine_tuned(root, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("fine_tuned")
    run = build_finetuning(typed(config_of(root)), workdir, strict=True)
    return workdir, train_and_evaluate(run)


def test_pulses_are_found_in_subjects_never_seen(fine_tuned):
    workdir, evaluation = fine_tuned
    assert evaluation.classes == ("none", "up", "down")
    assert (evaluation.num_subjects, evaluation.num_recordings) == (4, 4)
    # Of 12 s the first and the last second are not annotated, in either channel.
    assert evaluation.num_samples == 4 * 2 * 1000
    assert evaluation.macro_f1.value > 0.8
    for row in evaluation.by_class[1:]:
        assert row.boundaries["onset"].sensitivity.value > 0.8
        assert abs(row.boundaries["onset"].mean_error_ms) < 50
    (validation,) = reported(workdir, "validation")
    content = read_json(workdir / "evaluation.json")
    known = content["evaluations"]["validation"]["macro_f1"]["value"]
    assert validation["macro_f1"] == pytest.approx(known)
    assert content["evaluations"]["test"] == evaluation.to_json()
    text = (workdir / "evaluation.md").read_text(encoding="utf-8")
    for picture in re.findall(r"\]\((plots/.*?)\)", text):
        assert (workdir / picture).read_bytes().startswith(b"\x89PNG")


def test_a_model_evaluated_again_gives_its_own_metrics(fine_tuned, tmp_path):
    workdir, evaluation = fine_tuned
    again = evaluate_run(build_evaluation(typed(head_config(workdir)), tmp_path, strict=True))
    assert again.by_class == evaluation.by_class
    with (
        np.load(tmp_path / "predictions" / "test.npz") as ours,
        np.load(workdir / "predictions" / "test.npz") as theirs,
    ):
        for name in theirs.files:
            np.testing.assert_array_equal(ours[name], theirs[name])


REJECTED = {
    "mixup": ({"objective.mixup": 0.2}, r"objective\.mixup is 0\.2, but task 'pulses' labels"),
    "balance": ({"balanced_sampling": True}, r"balanced_sampling is True, .*objective\.balance"),
    "speed": (
        {"data.speed_perturbation": (0.8, 1.2)},
        r"data\.speed_perturbation is \(0\.8, 1\.2\), .*labels would not follow the samples",
    ),
    "head": ({"head.kind": "attention"}, r"head\.kind='attention' .* needs .*'linear' or 'conv"),
    "margin": ({"head.arcface": True}, r"head\.arcface=True .* needs"),
    "architecture": (
        {"architecture": "resnet1d_wang"},
        r"architecture 'resnet1d_wang' has no outputs for samples",
    ),
    "no class": (
        {"data.split_rule": "subject=p0|p1|p2", "labels.classes": "up,left"},
        r"names 'left'; task 'pulses' has up, down",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_labels_of_samples_do_not_follow_is_rejected_by_name(root, tmp_path, name):
    changes, message = REJECTED[name]
    with pytest.raises(ConfigError, match=message):
        build_finetuning(typed(config_of(root, **changes)), tmp_path / "run", strict=True)


def test_classes_without_samples_are_named(tmp_path):
    pulses(tmp_path, classes=("up", "down", "flat"))
    message = r"class 'flat' of task 'pulses' labels no sample of train .* exclude it with"
    with pytest.raises(ConfigError, match=message):
        build_finetuning(typed(config_of(tmp_path)), tmp_path / "run", strict=True)


def test_heads_of_samples_are_not_for_windows(waves_root, tmp_path):
    config = config_of(waves_root)
    config.data.sets, config.labels.task = "waves", "wave"
    with pytest.raises(ConfigError, match=r"'convolution' is for tasks that label samples; choose"):
        build_finetuning(typed(config), tmp_path, strict=True)


def test_commands_on_labels_of_windows_reject_labels_of_samples(root, tmp_path):
    probe = on_pulses(evaluate.get_config("method=probe,preset=debug"), root, encoders="wavelets")
    with pytest.raises(ConfigError, match="'pulses' labels samples, and a probe needs labels of"):
        build_probe(typed(probe), tmp_path / "probe", strict=True)
    config = loso.get_config("preset=debug")
    config.num_devices, config.data.sets, config.data.root = 1, "pulses", str(root)
    config.data.channels, config.labels.task, config.labels.classes = "II,PPG", "pulses", ""
    run = build_leave_one_out(typed(config), tmp_path / "loso", strict=True)
    with pytest.raises(ConfigError, match="leaving subjects out needs labels of windows"):
        run.list_folds()


def test_the_task_is_an_argument_of_the_config():
    config = finetune.get_config("data=ludb,task=waves")
    assert (config.data.sets, config.labels.task, config.labels.classes) == ("ludb", "waves", "")
    assert config.head.kind == "convolution"
    assert finetune.get_config("data=ludb").labels.task == "rhythm"
    with pytest.raises(ConfigError, match=r"'ludb' has no task 'stage'; choose one of rhythm"):
        finetune.get_config("data=ludb,task=stage")
