"""What is read off features that stay as they are: a label that is there, and none that is not."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from physio_mae_jax.commands.probe import build_probe, evaluate_probe, instance_features, run_probe
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.evaluation.probes import METHODS
from physio_mae_jax.evaluation.protocol import selection_metric
from physio_mae_jax.inference import Encoder
from tests.encoders import write_contrastive_run
from tests.prepared import waves
from tests.runs import evaluation_config, read_json, typed

FLAGS = {"labels.task": "flags", "labels.classes": "a,b", "labels.require_label": False}
SHORT = {"labels.window_seconds": 3.0}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """The waves of 96 subjects, so that an area by chance is near a half."""
    root = tmp_path_factory.mktemp("crowd")
    waves(root, subjects=96)
    return root


def build(root, workdir, method="probe", strict=True, **changes):
    return build_probe(typed(evaluation_config(root, method, **changes)), workdir, strict=strict)


def read(root, workdir, method, **changes):
    """Read a label off wavelet features, without a card: predictions, and what was chosen."""
    run = build(root, workdir, method, encoders="wavelets", **changes)
    extract = run.extractors["wavelets"]
    return run_probe(
        run,
        {p: instance_features(run, extract, instances) for p, instances in run.instances.items()},
    )


def test_a_label_in_the_signal_is_found_and_one_by_chance_is_not(crowd, pretrained, tmp_path):
    changes = FLAGS | {"init_from": str(pretrained), "encoders": "pretrained,random,wavelets"}
    run = build(crowd, tmp_path, strict=False, **changes)
    evaluation = evaluate_probe(run)
    inside, chance = (row.metrics["auroc"] for row in evaluation.by_class)
    assert inside.value > 0.95
    assert 0.3 < chance.value < 0.7
    assert chance.low < 0.5 < chance.high
    content = read_json(tmp_path / "evaluation.json")
    assert content["evaluations"]["test"] == evaluation.to_json()
    compared = content["comparisons"]
    assert [row["name"] for row in compared] == ["random", "wavelets"]
    assert {row["reference"] for row in compared} == {"pretrained"}
    assert {row["reference_value"] for row in compared} == {evaluation.main.value}
    assert content["context"]["method"].startswith("probe, strength C = ")


@pytest.mark.parametrize("method", METHODS)
def test_wavelets_read_classes_and_numbers(waves_root, tmp_path, method):
    predictions, _ = read(waves_root, tmp_path, method, **{"labels.task": "state"} | SHORT)
    test = predictions["test"]
    assert (test.logits.argmax(axis=1) == test.targets.argmax(axis=1)).mean() > 0.9
    predictions, _ = read(waves_root, tmp_path, method, **{"labels.task": "attribute:age"})
    test = predictions["test"]
    guess = np.abs(test.targets - test.targets.mean()).mean()
    assert np.abs(test.logits - test.targets).mean() < 0.7 * guess


@pytest.mark.parametrize("method", METHODS)
def test_neighbors_and_probes_find_no_label_by_chance(crowd, tmp_path, method):
    test = read(crowd, tmp_path, method, **FLAGS)[0]["test"]
    inside, chance = (roc_auc_score(test.targets[:, k], test.logits[:, k]) for k in range(2))
    assert inside > 0.95
    assert 0.3 < chance < 0.7


def test_a_channel_independent_encoder_is_probed_as_one(waves_root, tmp_path):
    start = write_contrastive_run(tmp_path / "start")
    run = build(
        waves_root, tmp_path / "probe", init_from=str(start), **{"labels.window_seconds": 4.0}
    )
    instances = run.instances["test"]
    ours = instance_features(run, run.extractors["pretrained"], instances)
    first = int(instances.recording[0])
    encoder = Encoder.from_checkpoint(start, num_devices=1)
    windows = [
        run.source.read(first, position, position + 400)
        for position in instances.window_start[instances.window_instance == 0].tolist()
    ]
    theirs = encoder.encode(windows, sampling_rate_hz=100, channels=["II", "PPG"])
    np.testing.assert_allclose(ours[0], np.mean(theirs, axis=0), atol=1e-4)


def test_a_fine_tuned_run_is_no_encoder_and_says_what_it_is(waves_root, tmp_path):
    (tmp_path / "tuned").mkdir()
    settings = {"config": {"command": "finetune", "init_from": "runs/first"}}
    path = tmp_path / "tuned" / "config.json"
    path.write_text(json.dumps(add_seal(settings)), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a 'finetune' run.*initialized from, runs/fir.*=head"):
        build(waves_root, tmp_path / "probe", init_from=str(tmp_path / "tuned"))


def made_up(kind, seed=0):
    """Features and targets of three splits; the first feature predicts the target."""
    rng = np.random.default_rng(seed)
    features, targets = {}, {}
    for part, count in (("train", 60), ("validation", 30), ("test", 20)):
        features[part] = rng.normal(size=(count, 5))
        sure = features[part][:, 0] + rng.normal(size=count)
        if kind == "multiclass":
            targets[part] = np.eye(3)[np.digitize(sure, [-0.5, 0.5])]
        elif kind == "multilabel":
            targets[part] = np.stack([sure > 0, rng.random(count) < 0.5], axis=1) * 1.0
        else:
            targets[part] = sure[:, None]
    return features, targets


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("method", METHODS)
def test_probe_ignores_test_and_refit_changes_only_test(method, kind):
    features, targets = made_up(kind)
    metric = selection_metric(kind)[1]

    def result(targets, refit):
        return METHODS[method](features, targets, kind, metric, refit=refit)

    plain, again = result(targets, False), result(targets, True)
    other = made_up(kind, seed=1)[1]["test"]
    for refit, before in ((False, plain), (True, again)):
        after = result(targets | {"test": other}, refit)
        assert after.chosen == before.chosen
        for part in ("validation", "test"):
            np.testing.assert_array_equal(after.logits[part], before.logits[part])
    assert again.chosen == plain.chosen
    np.testing.assert_array_equal(again.logits["validation"], plain.logits["validation"])
    assert np.abs(again.logits["test"] - plain.logits["test"]).max() > 1e-3


def test_a_refit_is_asked_for_by_a_setting(waves_root, tmp_path):
    plain, again = (
        read(waves_root, tmp_path, "probe", refit=refit, **{"labels.task": "attribute:age"})[0]
        for refit in (False, True)
    )
    np.testing.assert_array_equal(again["validation"].logits, plain["validation"].logits)
    assert np.abs(again["test"].logits - plain["test"].logits).max() > 0.01


def test_evaluation_on_training_subjects_is_reported_and_rejected_if_strict(
    waves_root, pretrained, tmp_path
):
    changes = {
        "init_from": str(pretrained),
        "encoders": "pretrained",
        "data.split_rule": "fold=3|4|1-2",
    }
    words = "CONTAMINATION: 12 of 12 subjects"
    run = build(waves_root, tmp_path / "open", strict=False, **changes)
    assert run.context["contamination"].startswith(words)
    with pytest.raises(DataError, match=words):
        build(waves_root, tmp_path / "strict", strict=True, **changes)
    assert not (tmp_path / "strict" / "config.json").exists()


def test_a_leaky_split_says_so_before_any_figure(waves_root, tmp_path):
    changes = {
        "encoders": "wavelets",
        "data.split_rule": "leaky=|0.25|0.25",
        "labels.task": "beat",
    } | SHORT
    with pytest.raises(DataError, match="CONTAMINATION"):
        build(waves_root, tmp_path / "strict", "knn", strict=True, **changes)
    evaluate_probe(build(waves_root, tmp_path / "open", "knn", strict=False, **changes))
    title, _, doubt, *_ = (tmp_path / "open" / "evaluation.md").read_text("utf-8").split("\n")
    assert title == "# beat on waves (LEAKY SPLIT)"
    assert doubt.startswith("> **CONTAMINATION: 24 of 24 subjects")
    split = read_json(tmp_path / "open" / "split.json")
    assert split["rule"] == "leaky=|0.25|0.25"
    assert sum(map(len, split["instances"].values())) == 48 * 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels.task": "superclass"},
            r"'waves' has no task 'superclass'; it has wave, flags, be",
        ),
        (
            {"encoders": "wavelets,fourier"},
            r"encoders must be among pretrained, random, wavelets.*; got 'fourier'",
        ),
        ({"encoders": ""}, r"encoders must name at least one"),
        ({"method": "forest"}, r"method='forest' is unknown; choose one of head, probe, knn"),
        ({"encoders": "pretrained"}, r"is empty; name an encoder with"),
        (
            {"encoders": "pretrained", "init_from": "runs/a", "torch_weights": "b.pth"},
            r"got both init_from='runs/a' and torch_weights='b\.pth'",
        ),
    ],
)
def test_missing_choice_lists_the_available_ones(waves_root, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        build(waves_root, tmp_path, **{"encoders": "wavelets"} | changes)
