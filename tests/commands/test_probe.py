"""Probes of runs, from their settings to their report."""

import json

import numpy as np
import pytest

from physio_mae_jax.commands.probe import evaluate_probe, instance_features
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference import Encoder
from tests.encoders import write_contrastive_run
from tests.evaluation.probes import SHORT, build, read
from tests.runs import read_json


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
