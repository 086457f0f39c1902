"""Fine-tuning from its settings to its card: it learns, and says where a figure is not fair."""

import json
import re

import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.evaluate import build_evaluation, evaluate_run
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation.predictions import Predictions
from tests.prepared import waves
from tests.runs import finetuning_config, head_config, read_json, reported, typed

TASKS = {
    "wave": {},
    "beat": {"loop.evaluate_every_steps": 30},
    "state": {},
    "flags": {"labels.classes": "a,b", "labels.require_label": False, "num_devices": 2},
    "attribute:age": {},
}


@pytest.fixture(scope="module")
def fine_tuned(waves_root, pretrained, tmp_path_factory):
    """Return a function from a task to the work folder and the evaluation of its one run."""
    finished = {}

    def run_of(task):
        if task not in finished:
            workdir = tmp_path_factory.mktemp("fine_tuned")
            config = finetuning_config(
                waves_root, init_from=str(pretrained), **{"labels.task": task}, **TASKS[task]
            )
            run = build_finetuning(typed(config), workdir, strict=True)
            with pytest.MonkeyPatch.context() as patch:
                if task != "wave":
                    # One run draws; of the others nobody looks at the pictures, which take a while.
                    patch.setattr(atomic_files, "write_figure", lambda path, figure: None)
                finished[task] = workdir, finetune(run)
        return finished[task]

    return run_of


@pytest.mark.parametrize(
    ("task", "least"), [("wave", 0.95), ("beat", 0.8), ("state", 0.9), ("flags", 0.95)]
)
def test_classes_are_learned_of_subjects_never_seen(fine_tuned, task, least):
    workdir, evaluation = fine_tuned(task)
    # Of the two flags the first is in the signal; every other task is on both of its classes.
    assert evaluation.by_class[0].metrics["auroc"].value > least
    assert evaluation.num_subjects == 6
    assert evaluation.num_threshold_subjects == 0
    written = read_json(workdir / "evaluation.json")
    assert written["evaluations"]["test"] == evaluation.to_json()
    text = (workdir / "evaluation.md").read_text(encoding="utf-8")
    assert "contamination: none of 6 subjects" in text
    if task == "wave":
        for picture in re.findall(r"\]\((plots/.*?)\)", text):
            assert (workdir / picture).read_bytes().startswith(b"\x89PNG")


def test_numbers_are_learned_in_their_own_unit(fine_tuned):
    workdir, evaluation = fine_tuned("attribute:age")
    test = Predictions.load(workdir / "predictions" / "test.npz")
    guess = np.abs(test.targets - test.targets.mean()).mean()
    assert guess > 10  # years
    assert evaluation.overall["mae"].value < 0.7 * guess
    assert evaluation.overall["pearson_r"].value > 0.7


def test_the_model_evaluated_is_the_one_best_on_validation(fine_tuned):
    workdir, _ = fine_tuned("beat")
    looks = {r["step"]: r["macro_auroc"] for r in reported(workdir, "validation")}
    assert sorted(looks) == [30, 60]
    best = max(looks, key=lambda step: looks[step])
    kept = read_json(workdir / "best" / "metric.json")
    del kept["seal"], kept["format_version"]
    assert kept == {"step": best, "metric": "macro_auroc", "value": looks[best]}
    content = read_json(workdir / "evaluation.json")
    assert content["context"]["best step"] == best
    validation = content["evaluations"]["validation"]["overall"]["macro_auroc"]["value"]
    assert validation == pytest.approx(looks[best], abs=1e-12)


@pytest.mark.parametrize("task", ["wave", "attribute:age"])
def test_a_model_evaluated_again_gives_its_own_metrics(fine_tuned, task, tmp_path):
    workdir, evaluation = fine_tuned(task)
    again = evaluate_run(build_evaluation(typed(head_config(workdir)), tmp_path, strict=True))
    assert again.to_json() == evaluation.to_json()
    ours, theirs = (Predictions.load(f / "predictions" / "test.npz") for f in (tmp_path, workdir))
    for field in ("instance_ids", "subjects", "logits", "targets"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field))


def test_a_model_is_not_evaluated_on_what_it_was_trained_on(fine_tuned, tmp_path):
    workdir, _ = fine_tuned("wave")
    config = head_config(workdir, split="train")
    context = build_evaluation(typed(config), tmp_path / "open", strict=False).context
    assert context["contamination"].startswith("CONTAMINATION: 12 of 12 subjects")
    assert "the samples of 24 of 24 recordings" in context["contamination"]
    with pytest.raises(DataError, match="CONTAMINATION: 12 of 12 subjects"):
        build_evaluation(typed(config), tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "dev"}, r"split is 'dev'; choose one of train, validation, test, all"),
        ({"data.split_rule": "leaky=|0.1|0.2"}, r"leaks, so the run cannot be evaluated"),
        ({"data.split_rule": "fold=1-3|4|"}, r"leaves no recordings for test"),
    ],
)
def test_what_cannot_be_evaluated_is_reported(fine_tuned, tmp_path, changes, message):
    workdir, _ = fine_tuned("wave")
    with pytest.raises(ConfigError, match=message):
        build_evaluation(typed(head_config(workdir, **changes)), tmp_path, strict=False)


def test_a_finished_run_is_not_replaced(waves_root, pretrained, fine_tuned):
    """What a folder says of the run in it stays, whatever else is begun there by mistake."""
    finished, _ = fine_tuned("wave")
    swapped = {"init_from": str(pretrained), "labels.classes": "fast,slow"}
    for workdir, changes, message in (
        (finished, swapped, r"labels\.classes: '' in the run, 'fast,slow' in the config"),
        (pretrained, {}, r"labels\.task: None in the run, 'wave' in the config"),
    ):
        described = (workdir / "config.json").read_bytes()
        with pytest.raises(ConfigError, match=message):
            build_finetuning(typed(finetuning_config(waves_root, **changes)), workdir, strict=True)
        assert (workdir / "config.json").read_bytes() == described


def test_samples_are_known_under_another_name(fine_tuned, tmp_path):
    workdir, _ = fine_tuned("wave")
    waves(tmp_path, name="renamed")
    config = head_config(
        workdir, **{"data.sets": "renamed", "data.root": str(tmp_path)}, split="all"
    )
    context = build_evaluation(typed(config), tmp_path / "evaluated", strict=False).context
    assert context["contamination"].startswith(
        "CONTAMINATION: 0 of 24 subjects and the samples of 24 of 48 recordings"
    )


def test_what_the_encoder_was_pretrained_on_counts_too(waves_root, pretrained, tmp_path):
    changes = {"init_from": str(pretrained), "data.split_rule": "fold=3|4|1-2"}
    config = finetuning_config(waves_root, **changes)
    with pytest.raises(DataError, match="CONTAMINATION: 12 of 12 subjects"):
        build_finetuning(typed(config), tmp_path / "strict", strict=True)
    run = build_finetuning(typed(config), tmp_path / "open", strict=False)
    assert run.context["contamination"].startswith("CONTAMINATION: 12 of 12 subjects")
    from_scratch = finetuning_config(waves_root, **changes | {"init_from": ""})
    run = build_finetuning(typed(from_scratch), tmp_path / "scratch", strict=True)
    assert run.context["contamination"].startswith("contamination: none of 12 subjects")


def test_a_patient_in_two_parts_is_rejected(waves_root, fine_tuned, tmp_path):
    workdir, _ = fine_tuned("wave")
    split = read_json(workdir / "split.json")
    moved = split["subjects"]["train"][3]
    split["subjects"]["test"].append(moved)
    planted = tmp_path / "split.json"
    planted.write_text(json.dumps(split), encoding="utf-8")
    config = finetuning_config(waves_root, **{"data.split_rule": str(planted)})
    with pytest.raises(DataError, match=f"both into train and into test .*{moved}"):
        build_finetuning(typed(config), tmp_path / "run", strict=False)
