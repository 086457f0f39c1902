"""Probes find the labels that are there, and none by chance."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from physio_mae_jax.commands.probe import evaluate_probe
from physio_mae_jax.evaluation.probes import METHODS
from physio_mae_jax.evaluation.protocol import selection_metric
from tests.evaluation.probes import SHORT, build, read
from tests.prepared import waves
from tests.runs import read_json

FLAGS = {"labels.task": "flags", "labels.classes": "a,b", "labels.require_label": False}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """The waves of 96 subjects, so that an area by chance is near a half."""
    root = tmp_path_factory.mktemp("crowd")
    waves(root, subjects=96)
    return root


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
