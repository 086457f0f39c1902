"""Graphs for devices from the command line, of encoders and of fine-tuned classifiers."""

import logging

import numpy as np
import pytest

from configs import edge
from physio_mae_jax import atomic_files
from physio_mae_jax.commands import export_edge
from physio_mae_jax.commands.finetune import build_finetuning, finetune
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.classifier import Classifier
from physio_mae_jax.inference.edge import export
from tests.prepared import waves
from tests.runs import finetuning_config, typed

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from physio_mae_jax.inference.edge.runtime import EdgeClassifier, EdgeEncoder


@pytest.fixture(scope="module")
def long_waves(tmp_path_factory):
    """Return a folder with a data set of as many windows as int8 needs."""
    root = tmp_path_factory.mktemp("long")
    waves(root, subjects=6, seconds=72)
    return root


def settings(argument: str = "", **changes):
    """Return the settings of an export."""
    config = edge.get_config(argument)
    config.update_from_flattened_dict(changes)
    return typed(config)


def run(workdir, *given, **changes) -> None:
    export_edge.run(settings(*given, **changes), workdir, strict=False)


def test_a_run_is_exported(pretrained, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    run(tmp_path / "edge", init_from=str(pretrained), output="columns", num_channels=1)
    device = EdgeEncoder.load(tmp_path / "edge" / "model.onnx")
    assert (device.contract.output, device.contract.num_channels) == ("columns", 1)
    assert "model.onnx: columns of 1 channels at most in float32" in caplog.text
    assert "milliseconds for a window" in caplog.text


def test_a_classifier_is_calibrated_on_a_data_set(
    waves_root, pretrained, long_waves, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patch:
        patch.setattr(atomic_files, "write_figure", lambda path, figure: None)
        config = finetuning_config(waves_root, init_from=str(pretrained))
        finetune(build_finetuning(typed(config), tmp_path / "run", strict=True))
    # The blocks of a model for tests are too small to gain.
    monkeypatch.setattr(export, "require_small", lambda *sizes: None)
    given = {"data.root": str(long_waves), "data.sets": "waves", "labels.task": "wave"}
    run(tmp_path / "edge", "precision=int8", init_from=str(tmp_path / "run"), **given)
    device = EdgeClassifier.load(tmp_path / "edge" / "model.onnx")
    assert device.classes == ("slow", "fast")
    found = device.contract.card.quantization.agreement
    assert found.same_decision > 0.97
    assert found.auroc > 0.9
    assert "AUROC" in caplog.text
    source = PreparedSource(find_prepared(long_waves, "waves"))
    signals = [source.read(index, 0, 1200) for index in range(4)]
    described = {"sampling_rate_hz": 100, "channels": ["II", "PPG"]}
    wanted = Classifier.from_checkpoint(tmp_path / "run").predict(signals, **described)
    decided = device.predict(signals, **described).decisions
    np.testing.assert_array_equal(decided, wanted.decisions)


def test_what_does_not_fit_is_named_before_any_work(pretrained, tmp_path):
    run_name = str(pretrained)
    for argument, changes, message in [
        ("", {}, "init_from is empty; give the name of a shipped model"),
        ("", {"init_from": run_name, "file": "a/b.onnx"}, "file is 'a/b.onnx', a path"),
        ("", {"init_from": run_name, "data.sets": "waves"}, "data is set, but only int8 is cal"),
        ("", {"init_from": run_name, "labels.task": "wave"}, "labels.task is set, but only int8"),
        ("", {"init_from": run_name, "output": "logits"}, "Logits are those of a fine-tuned model"),
        ("precision=int8", {"init_from": run_name}, "needs recordings like those"),
        (
            "precision=int8",
            {"init_from": run_name, "data.sets": "waves", "data.channels": "EDA"},
            "data.channels has 'EDA', which the model does not know; choose from II, PPG",
        ),
    ]:
        with pytest.raises(ConfigError, match=message):
            run(tmp_path / "edge", argument, **changes)
    waves(tmp_path / "few", subjects=6)
    given = {"init_from": run_name, "data.root": str(tmp_path / "few"), "data.sets": "waves"}
    with pytest.raises(DataError, match=r"calibration gives .* at least 32 and 64 are needed"):
        run(tmp_path / "edge", "precision=int8", **given, **{"data.channels": "II"})
    with pytest.raises(DataError, match="labels events, not whole recordings"):
        run(tmp_path / "edge", "precision=int8", **given, **{"labels.task": "beat"})
    assert not (tmp_path / "edge").exists()
