"""Exported programs: they run with JAX alone and agree with the encoder."""

import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest

from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.window_transform import make_window, plan_window
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.export import read_calling
from physio_mae_jax.signals.preprocess import z_score
from tests.encoders import beats, encoder

LEADS = ["I", "II", "V1"]


@pytest.fixture(scope="module")
def made():
    return encoder()


ALONE = """
import sys

class OnlyJax:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {
            "physio_mae_jax", "flax", "optax", "orbax", "grain", "sklearn", "pandas", "safetensors"
        }:
            raise ImportError(name)

sys.meta_path.insert(0, OnlyJax())
import jax.export
import numpy as np

with open("encoder.stablehlo", "rb") as file:
    program = jax.export.deserialize(bytearray(file.read()))
given = np.load("given.npz")
for size in (1, 3):
    found = program.call(*(given[name][:size] for name in ("signal", "mask", "ids")))
    np.testing.assert_allclose(found, given["wanted"][:size], atol=1e-5)
print(program.platforms)
"""


def test_an_exported_program_runs_where_there_is_only_jax(made, tmp_path):
    path = made.export(tmp_path / "encoder.stablehlo", num_channels=3)
    signals = np.stack([beats(4, 100, seed=i) for i in range(3)])
    ids = read_calling(path)["channel_ids"]
    np.savez(
        tmp_path / "given.npz",
        signal=np.stack([z_score(signal)[0] for signal in signals]),
        mask=np.ones((3, 3), bool),
        ids=np.tile(np.array([ids[name] for name in LEADS], np.int32), (3, 1)),
        wanted=made.encode(signals, sampling_rate_hz=100, channels=LEADS),
    )
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "('cpu', 'cuda', 'tpu')"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder_attention": "joint", "waveform_branch": False},
        {"attention_block_seconds": 0.7},
        {"time_mixer": "state_space", "attention_every": 2},
        {"convolutional_stem": "normalized"},
    ],
)
def test_a_program_takes_batches_of_any_size(changes, tmp_path):
    path = encoder(**changes).export(tmp_path / "program", num_channels=2, platforms=("cpu",))
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    assert [aval.shape[1:] for aval in program.in_avals] == [(2, 400), (2,), (2,)]
    assert str(program.in_avals[0].shape[0]) == "b"


def test_a_program_of_a_stem_agrees_with_the_encoder(tmp_path):
    made = encoder(convolutional_stem="normalized")
    path = made.export(tmp_path / "program", num_channels=3, platforms=("cpu",))
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    signals = np.stack([beats(4, 100, seed=i) for i in range(3)])
    ids = np.array([read_calling(path)["channel_ids"][name] for name in LEADS], np.int32)
    windows = np.stack([z_score(signal)[0] for signal in signals])
    found = program.call(windows, np.ones((3, 3), bool), np.tile(ids, (3, 1)))
    wanted = made.encode(signals, sampling_rate_hz=100, channels=LEADS)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_unknown_platform_is_named(made, tmp_path):
    with pytest.raises(ConfigError, match="'npu' is unknown; choose from cpu, cuda, tpu"):
        made.export(tmp_path / "program", platforms=("npu",))


@pytest.mark.parametrize("rate_hz", [100.0, 250.0])
def test_a_program_takes_windows_of_raw_samples(made, rate_hz, tmp_path):
    path = made.export(tmp_path / "program", num_channels=3, platforms=("cpu",))
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    signal = beats(4, rate_hz)
    info = RecordingInfo(
        record_id="one",
        subject_id="one",
        channel_names=("V1", "I", "II"),
        sampling_rate_hz=rate_hz,
        num_samples=signal.shape[1],
    )
    config = dataclasses.replace(made.input.window, num_channels=3)
    spec = plan_window(info, made.input.planner().plan(info), config, start=0)
    window = make_window(signal[:, spec.first : spec.last], spec)
    inputs = [window[name][None] for name in ("signal", "channel_mask", "channel_ids")]
    wanted = made.encode(signal, sampling_rate_hz=rate_hz, channels=info.channel_names)
    np.testing.assert_allclose(program.call(*inputs), wanted, atol=1e-5)
