"""The linear probe of a run on labelled recordings."""

import json

import numpy as np
import pytest

from configs import pretrain as pretrain_config
from configs import probe as probe_config
from physio_mae_jax import experiment, past_run
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.probe import probe
from physio_mae_jax.training.loop import pretrain


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
    np.savez(
        folder / "all.npz",
        X=signal.astype(np.float32),
        label=labels,
        names=np.array(["pulse", "chance"]),
        fold=np.arange(120) % 4,
        who=np.arange(120),
    )
    manifest = {
        "sampling_rate_hz": 100,
        "channels": ["I", "II"],
        "recordings": [
            {
                "file": "all.npz",
                "array": "X",
                "axes": ["record", "channel", "sample"],
                "subject_array": "who",
            }
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    config = pretrain_config.get_config("preset=debug,data=folder")
    config.data.path, config.num_devices = str(folder), 1
    config.model.channel_identity = False
    workdir = folder / "run"
    pretrain(experiment.build_pretraining(config, workdir))
    return workdir


def settings(run, **changes):
    config = probe_config.get_config()
    config.run, config.batch_size = str(run), 16
    config.validation_fold, config.test_fold = 2, 3
    config.label_array, config.label_names_array, config.fold_array = "label", "names", "fold"
    for name, value in changes.items():
        config[name] = value
    return config


def test_a_label_that_is_in_the_signal_is_found_and_one_that_is_not_is_not(run, tmp_path):
    result = probe(past_run.build_probe(settings(run), tmp_path))
    for encoder in ("trained", "untrained"):
        assert result[encoder]["auroc"]["pulse"] > 0.9
        assert result[encoder]["auroc"]["chance"] < 0.9
        assert result[encoder]["num_train"] + result[encoder]["num_test"] == 119
    written = json.loads((tmp_path / "probe.json").read_text(encoding="utf-8"))
    assert written["trained"]["macro_auroc"] == result["trained"]["macro_auroc"]


def test_labels_that_are_not_there_are_named(run, tmp_path):
    with pytest.raises(DataError, match=r"has no array y_super .*it has X, label"):
        past_run.build_probe(settings(run, label_array="y_super"), tmp_path)
