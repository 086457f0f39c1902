"""A fine-tuned run is loaded and classifies new signals as it did in training."""

import json
import shutil

import jax
import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.inference.classifier import Classifier
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.recording_classifier import decide
from physio_mae_jax.inference.trained_classifier import load_classifier
from tests.classifiers import DECISIONS, classifier, untrained_classifier, write_finetuned
from tests.encoders import beats
from tests.runs import finetuning_config, read_json, typed

GIVEN = {"sampling_rate_hz": 100, "channels": ["II", "PPG"]}


@pytest.fixture(scope="module")
def run(waves_root, pretrained, tmp_path_factory):
    """Return the work folder of a finished fine-tuning."""
    workdir = tmp_path_factory.mktemp("classifier") / "run"
    config = finetuning_config(waves_root, init_from=str(pretrained))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic_files, "write_figure", lambda path, figure: None)
        finetune(build_finetuning(typed(config), workdir, strict=True))
    return workdir


def test_a_run_classifies_its_test_recordings_as_it_did(run, waves_root):
    made = Classifier.from_checkpoint(run, batch_size=8, num_devices=1)
    test = Predictions.load(run / "predictions" / "test.npz")
    assert made.classes == test.classes
    source = PreparedSource(find_prepared(waves_root, "waves"))
    logits, report = made.encode_source(source, EncodingConfig(overlap=0.0))
    names = [info.record_id for info in source.recordings]
    rows = [
        next(n for n, name in enumerate(names) if str(one).endswith(name))
        for one in test.instance_ids
    ]
    found = np.stack(logits)[rows]
    assert report.num_windows > len(rows)
    # The mean over windows that lie elsewhere in the recording.
    np.testing.assert_allclose(found, test.logits, atol=0.2 * np.abs(test.logits).max())
    _, decisions = decide(made.decision, found)
    assert (decisions == test.targets.astype(bool)).all(axis=1).mean() > 0.8


def test_probabilities_are_those_of_the_mean_logits():
    made = classifier(DECISIONS["multilabel"])
    signals = [beats(12.0, 100, leads=2, seed=seed) for seed in (0, 1)]
    found = made.predict(signals, **GIVEN)
    assert found.classes == ("a", "b")
    assert found.probabilities.shape == found.decisions.shape == (2, 2)
    np.testing.assert_allclose(found.probabilities, made.decision.probabilities(found.logits))
    by_window = made.predict(signals, rows="window", **GIVEN)
    assert [one.shape for one in by_window.probabilities] == [(5, 2), (5, 2)]
    assert by_window.decisions[0].dtype == bool
    with pytest.raises(ConfigError, match="output is 'columns', but a classifier gives classes"):
        made.predict(signals, output="columns", **GIVEN)


def test_a_stream_gives_the_rows_of_predict():
    made = classifier(DECISIONS["two classes"])
    signal = beats(12.0, 100, leads=2)
    wanted = made.predict(signal, rows="window", **GIVEN)
    signal = np.concatenate([signal, np.full((2, 400), np.nan)], axis=1)
    stream = made.stream(**GIVEN)
    rows = [*stream.push(signal[:, :700]), *stream.push(signal[:, 700:])]
    for row, chances, decisions in zip(
        rows, wanted.probabilities[0], wanted.decisions[0], strict=False
    ):
        assert list(row.probabilities.values()) == pytest.approx(chances.tolist(), rel=1e-6)
        assert row.decisions == tuple(np.asarray(made.classes)[decisions])
    last = json.loads(json.dumps(rows[-1].to_json()))
    assert last["rejected"] == "gap"
    assert last["probabilities"] is None
    assert last["decisions"] == []
    assert set(rows[0].to_json()["probabilities"]) == {"a", "b"}


@pytest.mark.parametrize("name", DECISIONS)
def test_a_saved_run_is_loaded_as_it_was(name, tmp_path):
    trained = untrained_classifier(DECISIONS[name], kind="event", event_offset=0.3)
    found = load_classifier(write_finetuned(tmp_path / "run", trained))
    assert (found.config, found.head, found.decision) == (*trained[:2], trained.decision)
    assert found.input_spec == trained.input_spec
    jax.tree.map(np.testing.assert_array_equal, dict(found.params), dict(trained.params))


def test_only_finished_classifications_are_loaded(run, pretrained, tmp_path):
    with pytest.raises(UserError, match=r"holds no fine-tuned model \(best/ is not there\)"):
        Classifier.from_checkpoint(pretrained)
    broken = tmp_path / "run"
    shutil.copytree(run, broken)
    content = read_json(broken / "calibration.json")
    content = {k: v for k, v in content.items() if k not in ("seal", "format_version")}
    content["classes"] = ["x", "y"]
    (broken / "calibration.json").write_text(json.dumps(add_seal(content)))
    with pytest.raises(DataError, match=r"its classes are x, y, but the model has slow, fast"):
        Classifier.from_checkpoint(broken)
    (broken / "calibration.json").unlink()
    with pytest.raises(ConfigError, match=r"has no calibration\.json, so it is unfinished"):
        Classifier.from_checkpoint(broken)
