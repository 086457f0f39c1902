"""Every preset resolves, counts and traces; the debug preset runs."""

import json
import runpy

import jax
import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.pretrain import build_pretraining
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.training.pretrain_step import train_step
from physio_mae_jax.training.run_description import parameter_summary
from tests.factories import train_and_evaluate
from tests.paths import REPOSITORY
from tests.runs import typed

PRETRAIN = runpy.run_path(str(REPOSITORY / "configs" / "pretrain.py"))
TWELVE = "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"


def config_of(argument, **changes):
    config = PRETRAIN["get_config"](argument)
    config.num_devices = 1
    config.update_from_flattened_dict(changes)
    return config


def build(argument, workdir, **changes):
    return build_pretraining(typed(config_of(argument, **changes)), workdir)


@pytest.fixture
def folder(tmp_path):
    """Eight recordings of 12 s at 125 Hz, with channel names of PhysioNet."""
    path = tmp_path / "recordings"
    path.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        np.savez(
            path / f"r{number}.npz",
            signal=rng.normal(size=(2, 1500)).cumsum(axis=1).astype(np.float32),
            channels=np.array(["MLII", "PLETH"]),
            fs=125.0,
            subject=f"p{number}",
        )
    return path


@pytest.fixture
def no_pictures(monkeypatch):
    """Nobody looks at them, and they take longer than the steps."""
    monkeypatch.setattr(atomic_files, "write_figure", lambda path, figure: None)


@pytest.mark.parametrize(
    ("preset", "millions"), [("tiny", 0.9), ("base", 56), ("upstream", 151), ("debug", 0.074)]
)
def test_every_preset_traces_a_step_of_the_size_it_claims(preset, millions, tmp_path):
    run = build(f"preset={preset}", tmp_path, **{"data.max_validation_windows": 2})
    abstract = jax.eval_shape(run.trainable.init_state, jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(abstract.params)) / 1e6
    assert count == pytest.approx(millions, rel=0.1), parameter_summary(abstract.params)
    shape = (run.batch_size, len(run.trainable.channels(0)))
    samples = run.trainable.spec.model.config.num_samples
    batch = {
        "signal": jax.ShapeDtypeStruct((*shape, samples), np.float32),
        "channel_mask": jax.ShapeDtypeStruct(shape, bool),
        "channel_ids": jax.ShapeDtypeStruct(shape, np.int32),
        "subject": jax.ShapeDtypeStruct(shape[:1], np.int32),
    }
    _, metrics = jax.eval_shape(lambda s, b: train_step(run.trainable.spec, s, b), abstract, batch)
    assert metrics["loss"].shape == ()


def test_two_steps_on_synthetic_data(tmp_path):
    errors = train_and_evaluate(build("preset=debug", tmp_path))
    assert np.isfinite(list(errors.values())).all()


@pytest.mark.usefixtures("no_pictures")
def test_two_steps_with_nothing_held_out_say_so(tmp_path):
    run = build("preset=debug", tmp_path, **{"data.split_rule": "none"})
    assert not run.trainable.held_out
    train_and_evaluate(run)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["phase"] for line in lines} == {"train", "trained_on"}
    assert json.loads((tmp_path / "split.json").read_text())["subjects"]["validation"] == []


@pytest.mark.usefixtures("no_pictures")
def test_two_steps_on_a_folder_with_channels_of_its_own(folder, tmp_path):
    workdir = tmp_path / "run"
    run = build("preset=debug,data=folder", workdir, **{"data.path": str(folder)})
    assert run.trainable.channels(0) == ("II", "PPG")
    assert np.isfinite(list(train_and_evaluate(run).values())).all()


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("data", "channels"), [("bidmc", "II,PPG"), ("ptbxl_subset", TWELVE)]
)  # fmt: skip
def test_two_steps_on_real_data(data, channels, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("PHYSIO_MAE_DATA", str(shared / "data"))
    run = build(f"preset=debug,data={data}", tmp_path)
    assert ",".join(run.trainable.channels(0)) == channels
    assert np.isfinite(list(train_and_evaluate(run).values())).all()


WRONG = {
    "window": ({"window_seconds": 6.1}, r"window of 610 samples .* set window_seconds to 6"),
    "fraction": ({"window_seconds": 6.001}, r"600\.1 samples, not an integer"),
    "heads": ({"model.num_heads": 3}, r"model\.width=32 is not divisible by model\.num_heads=3"),
    "devices": ({"num_devices": 64}, r"num_devices=64, but this machine has 8"),
    "batch": ({"num_devices": 8, "batch_size": 12}, r"batch_size=12 is not a multiple of 8"),
    "scales": ({"model.patch_scales": 5}, r"num_scales=32 is not a multiple"),
    "mask": ({"objective.mask.mask_ratio": 0.99}, r"leaves 0 of 30 columns visible"),
    "planes": ({"objective.plane_weights": (1.0,)}, r"plane_weights has 1 entries"),
    "nyquist": ({"model.wavelet.highest_frequency_hz": 80.0}, r"highest_frequency_hz.*80"),
    "warm-up": ({"optimizer.warmup_steps": 5}, r"warmup_steps=5"),
    "channel": ({"data.channels": "II,XYZ"}, r"'XYZ'"),
    "set": ({"data.sets": "web"}, r"data set 'web' is not in .*prepare web --source"),
    "weights": ({"data.sets": "ptbxl:1+bidmc"}, r"give every set a weight"),
    "split": ({"data.split_rule": "random=0.1"}, r"split rule 'random=0\.1' is invalid"),
    "cudnn": (
        {"model.attention_implementation": "cudnn", "model.compute_dtype": "bfloat16"},
        r"needs an NVIDIA GPU",
    ),
    "steps": ({"loop.num_steps": 0}, r"num_steps"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_rejected_before_anything_is_compiled(name, tmp_path):
    changes, message = WRONG[name]
    with pytest.raises(UserError, match=message):
        build("preset=debug", tmp_path, **changes)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("preset=huge", r"preset='huge' is unknown; choose one of tiny, small"),
        ("size=3", r"'size=3' is unknown; give name=value with a name of variant, preset, data"),
    ],
)
def test_wrong_config_arguments_name_the_choices(argument, message):
    with pytest.raises(ConfigError, match=message):
        PRETRAIN["get_config"](argument)
