"""The linear probe of a run on labelled recordings."""

import json

import numpy as np
import pytest

from configs import pretrain as pretrain_config
from configs import probe as probe_config
from physio_mae_jax.errors import DataError
from physio_mae_jax.experiment import past_run, pretraining
from physio_mae_jax.inference.probe import probe
from physio_mae_jax.preparation.builder import builder_of
from physio_mae_jax.preparation.layouts.folder import open_own_folder
from physio_mae_jax.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps on 120 recordings; the first label is whether they hold a signal."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    pulse = rng.random(120) < 0.5
    wave = np.sin(np.arange(700) / 100 * 2 * np.pi) * pulse[:, None]
    signal = wave[:, None] + rng.normal(size=(120, 2, 700)) * 0.3
    labels = np.stack([pulse, rng.random(120) < 0.5], axis=1).astype(np.int8)
    labels[7] = -1
    raw = folder / "raw"
    raw.mkdir()
    np.savez(
        raw / "all.npz",
        X=signal.astype(np.float32),
        label=labels,
        names=np.array(["pulse", "chance"]),
        fold=np.arange(120) % 4,
        who=np.arange(120),
    )
    entry = {
        "file": "all.npz",
        "array": "X",
        "axes": ["record", "channel", "sample"],
        "subject_array": "who",
        "label_array": "label",
        "label_names_array": "names",
        "fold_array": "fold",
    }
    manifest = {"sampling_rate_hz": 100, "channels": ["I", "II"], "recordings": [entry]}
    (raw / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    layout = open_own_folder("pulses", raw, None, ())
    builder_of(layout)(source=raw, data_dir=folder).prepare()
    config = pretrain_config.get_config("preset=debug")
    config.data.sets, config.data.channels = "pulses", ""
    config.data.root, config.data.split = str(folder), "fold=0-2|0.2|3"
    config.num_devices, config.model.channel_identity = 1, False
    workdir = folder / "run"
    train(pretraining.build_pretraining(config, workdir))
    return workdir


def settings(run, **changes):
    config = probe_config.get_config()
    config.run, config.batch_size, config.label_task = str(run), 16, "label"
    config.split, config.require_label = "fold=0-1|2|3", False
    for name, value in changes.items():
        config[name] = value
    return config


def test_a_label_that_is_in_the_signal_is_found_and_one_that_is_not_is_not(run, tmp_path):
    result = probe(past_run.build_probe(settings(run), tmp_path, strict=True))
    for encoder in ("trained", "untrained"):
        assert result[encoder]["auroc"]["pulse"] > 0.9
        assert result[encoder]["auroc"]["chance"] < 0.9
        assert result[encoder]["num_test"] == 29
    written = json.loads((tmp_path / "probe.json").read_text(encoding="utf-8"))
    assert written["trained"]["macro_auroc"] == result["trained"]["macro_auroc"]


def test_labels_that_are_not_there_are_named(run, tmp_path):
    config = settings(run, label_task="superclass")
    with pytest.raises(DataError, match=r"'pulses' has no task 'superclass'; it has label"):
        past_run.build_probe(config, tmp_path, strict=False)


def test_testing_on_who_was_trained_on_is_reported_and_refused_if_strict(run, tmp_path):
    config = settings(run, split="fold=3|2|0-1")
    report = past_run.build_probe(config, tmp_path, strict=False).description["contamination"]
    assert len(report["recordings"]) == pytest.approx(0.8 * 60, abs=10)
    assert len(report["recordings"]) == len(report["subjects"])
    with pytest.raises(DataError, match=r"CONTAMINATION: \d+ of 60 subjects"):
        past_run.build_probe(config, tmp_path, strict=True)
