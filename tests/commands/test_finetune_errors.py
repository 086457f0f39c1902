"""Invalid fine-tuning settings are rejected, with a fix, before anything is compiled."""

import json

import pytest

from configs.finetune import get_config
from physio_mae_jax.commands.finetune import build_finetuning
from physio_mae_jax.errors import ConfigError, UserError
from tests.prepared import waves
from tests.runs import finetuning_config, typed
from tests.tampering import rewrite_index


def reject(root, workdir, message, **changes):
    with pytest.raises(UserError, match=message):
        build_finetuning(typed(finetuning_config(root, **changes)), workdir, strict=False)


WRONG = {
    "two beginnings": (
        {"init_from": "runs/a", "torch_weights": "b.pth"},
        r"got both init_from='runs/a' and torch_weights='b.pth'",
    ),
    "no run": (
        {"init_from": "/none"},
        r"/none is not there; name the work folder of a pre-training",
    ),
    "no arguments": ({"torch_weights": "b.pth"}, r"torch_config is empty; give a JSON"),
    "architecture": ({"architecture": "vit"}, r"'vit'; choose one of mae, resnet1d_wang"),
    "nothing to begin with": (
        {"architecture": "resnet1d_wang", "init_from": "runs/a"},
        r"architecture 'resnet1d_wang' takes no pre-trained encoder",
    ),
    "head": ({"head.kind": "mlp"}, r"head\.kind is 'mlp'; choose one of linear, attention"),
    "queries": ({"head.num_queries": 0}, r"head\.num_queries is 0"),
    "dropout": ({"head.dropout_rate": 1.0}, r"head\.dropout_rate is 1; it must be .* to below 1"),
    "margin": (
        {"head.arcface_margin": 2.0},
        r"head\.arcface_margin is 2; it must be a number from 0 to below 1\.57",
    ),
    "margin on flags": (
        {"head.arcface": True, "labels.task": "flags", "labels.classes": "a,b"},
        r"head\.arcface=True .* needs .* a task of exclusive classes",
    ),
    "margin on mixed": (
        {"head.arcface": True, "objective.mixup": 0.4},
        r"head\.arcface=True .* and objective\.mixup=0",
    ),
    "margin on a baseline": (
        {"head.arcface": True, "architecture": "resnet1d_wang"},
        r"head\.arcface=True .* needs architecture='mae'",
    ),
    "focus on a number": (
        {"labels.task": "attribute:age", "objective.focal_gamma": 2.0},
        r"task 'attribute:age' is a regression target; objective\.focal_gamma",
    ),
    "average": ({"ema_decay": 1.0}, r"ema_decay is 1; it must be a number from 0 to below 1"),
    "patience": ({"patience": -1}, r"patience is -1"),
    "frozen": ({"frozen_blocks": 2}, r"frozen_blocks must be in \[-1, 1\]"),
    "layer decay": ({"layer_decay": 0.0}, r"layer_decay is 0; it must be a number above 0 to 1"),
    "weight decay": ({"optimizer.weight_decay": -0.1}, r"optimizer\.weight_decay is -0\.1"),
    "warm-up": ({"optimizer.warmup_steps": 60}, r"warmup_steps=60 .* below num_steps=60"),
    "replicates": (
        {"evaluation.num_resamples": 3},
        r"evaluation\.num_resamples is 3; it must be an integer from 10",
    ),
    "rare": (
        {"evaluation.min_positives": 0},
        r"evaluation\.min_positives is 0; it must be an integer from 1",
    ),
    "share": ({"label_fraction": 0.0}, r"label_fraction is 0; it must be a number above 0 to 1"),
    "batch": ({"batch_size": 7, "num_devices": 2}, r"batch_size=7 is not a multiple of 2"),
    "columns": (
        {"labels.window_seconds": 3.1},
        r"window of 310 samples .* set window_seconds to 3",
    ),
    "samples": (
        {"labels.window_seconds": 3.001, "architecture": "resnet1d_wang"},
        r"window_seconds=3\.001 .* is 300\.1 samples, not an integer",
    ),
    "negative window": (
        {"labels.window_seconds": -3.0},
        r"labels.window_seconds is -3; it must be .*from 0",
    ),
    "short window": ({"labels.window_seconds": 1.0}, r"lowest_frequency_hz=0\.5 reaches 2\.26 s"),
    "long window": ({"labels.window_seconds": 18.0}, r"it lasts 12 s .* a window needs 18 s"),
    "task": ({"labels.task": "kind"}, r"no task 'kind'; it has wave, flags, beat, state"),
    "attribute": ({"labels.task": "attribute:height"}, r"none of 24 recordings has a label"),
    "class": ({"labels.classes": "slow,quick"}, r"names 'quick'; task 'wave' has slow, fast"),
    "class twice": ({"labels.classes": "slow,fast,slow"}, r"names 'slow' more than once"),
    "class of nobody": (
        {"labels.task": "flags", "data.split_rule": "fold=2|3|4"},
        r"class 'c' of task 'flags' is in no training instance of split 'fold=2\|3\|4'",
    ),
    "class of everybody": (
        {"labels.classes": "slow"},
        r"class 'slow' of task 'wave' is in every training instance",
    ),
    "one class to validate on": (
        {"data.split_rule": "subject=|p0|p1"},
        r"validation .* has one class only \(slow 2, fast 0\), so no model can be selected on it",
    ),
    "nobody to validate on": ({"data.split_rule": "random=||0.2"}, r"no recordings for validation"),
    "no labels": (
        {"data.sets": "synthetic", "data.split_rule": "random=|0.2|0.2"},
        r"synthetic has no labels, since it is not a prepared data set",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_rejected_before_anything_is_compiled(name, waves_root, tmp_path):
    changes, message = WRONG[name]
    reject(waves_root, tmp_path, message, **changes)


def test_wrong_arguments_name_the_choices():
    with pytest.raises(ConfigError, match=r"data='web' is unknown; choose one of ptbxl, "):
        get_config("data=web")


DAMAGED = {
    "no class": (
        "labels",
        {"wave": [2]},
        "wave",
        r"has label 2 of task 'wave', which has 2 classes",
    ),
    "negative": ("labels", {"wave": [-1]}, "wave", r"has label -1 of task 'wave'"),
    "both": (
        "labels",
        {"wave": [0, 1]},
        "wave",
        r"has 2 classes of task 'wave', which are mutually",
    ),
    "neither": ("labels", {"wave": []}, "wave", r"has 0 classes of task 'wave'"),
    "beat": (
        "annotations",
        {"beat": [[600, 601, 5]]},
        "beat",
        r"has label 5 of task 'beat', which has 2 cl",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_labels_out_of_range_are_named_with_their_recording(name, tmp_path):
    kind, labels, task, message = DAMAGED[name]
    folder = waves(tmp_path)
    lines = (folder / "recordings.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[3])
    record[kind] |= labels
    lines[3] = json.dumps(record)
    rewrite_index(folder, "\n".join(lines) + "\n")
    wrong = f"recording '{record['record_id']}' {message}"
    reject(tmp_path, tmp_path / "run", wrong, **{"labels.task": task})


@pytest.fixture
def unfinished(waves_root, tmp_path):
    """The work folder of a fine-tuning that was built and stopped there."""
    build_finetuning(typed(finetuning_config(waves_root)), tmp_path / "unfinished", strict=True)
    return tmp_path / "unfinished"


def test_an_encoder_comes_of_a_pretraining_only(waves_root, unfinished, tmp_path):
    message = r"unfinished was a 'finetune' run; an encoder is read from a pre-training"
    reject(waves_root, tmp_path / "run", message, init_from=str(unfinished))
