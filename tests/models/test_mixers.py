"""Laws of every time mixer, and what a new one needs: a module and a line in a dict."""

import dataclasses
import functools
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.pretrain import get_config
from physio_mae_jax.benchmarks import flops
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec
from physio_mae_jax.inference import Encoder
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.layers import Linear, linear_operations
from physio_mae_jax.models.mixers import MIXERS
from physio_mae_jax.models.mixers.base import Geometry, SequenceShape
from physio_mae_jax.models.residual import ResidualBranch
from physio_mae_jax.models.stack import Stack
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.training.checkpoint import reject_other_model
from physio_mae_jax.training.model_spec import parse_model_config
from physio_mae_jax.training.pretrain_step import train_step
from physio_mae_jax.training.state import TrainState
from tests.encoders import beats, encoder, write_run
from tests.factories import compiled_init, random_batch, random_params, tiny_model
from tests.runs import typed
from tests.training.pretrain_tasks import pretrain_task


class MovingAverage(nn.Module):
    """Each token becomes the mean of its row over the last second column and its own."""

    settings: BlockConfig

    supports_joint: ClassVar[bool] = False
    supports_ragged_rows: ClassVar[bool] = False
    sows_received_weights: ClassVar[bool] = False

    @nn.compact
    def __call__(self, tokens: jax.Array, geometry: Geometry) -> ResidualBranch:
        """Mix [B, M, K, R, D] along K."""
        earlier = jnp.pad(tokens, [(0, 0), (0, 0), (1, 0), (0, 0), (0, 0)])[:, :, :-1]
        times = geometry.times.astype(tokens.dtype)
        gap = jnp.diff(times, axis=1, prepend=times[:, :1])[:, None, :, :, None]
        mixed = tokens + earlier * jnp.exp(-gap)
        layer = Linear(tokens.shape[-1], dtype=self.settings.dtype, name="output")
        return ResidualBranch(layer(mixed))

    @classmethod
    def operations(cls, settings: BlockConfig, shape: SequenceShape) -> float:
        """Count the linear layer."""
        tokens = shape.num_sequences * shape.num_tokens
        return tokens * linear_operations(shape.width, shape.width, 0.0)


@pytest.fixture(autouse=True)
def _with_a_moving_average(monkeypatch):
    monkeypatch.setitem(MIXERS, "average", MovingAverage)


every_mixer = pytest.mark.parametrize("mixer", [*MIXERS, "average"])


def latents_of(model, params, batch, **fields):
    windows = Windows.of(batch | fields)
    return jax.jit(lambda p: model.apply({"params": p}, windows, method="encode"))(params)


@every_mixer
def test_padding_at_the_end_changes_no_output(mixer):
    model, short = tiny_model(time_mixer=mixer), tiny_model(time_mixer=mixer, num_samples=300)
    params = random_params(model)
    batch = random_batch(2, 3)
    padded = latents_of(model, params, batch, num_valid_columns=jnp.array([15, 15]))
    tokenizer = params["encoder"]["tokenizer"]
    tokenizer["position"] = tokenizer["position"][:15]
    alone = latents_of(short, params, batch | {"signal": batch["signal"][..., :300]})
    np.testing.assert_allclose(padded[:, :, :15], alone, atol=1e-3)


@every_mixer
def test_channels_exchange_only_what_they_are_given(mixer):
    """With the order of the channels the output's order changes, and nothing else."""
    model = tiny_model(time_mixer=mixer)
    params, batch, order = random_params(model), random_batch(2, 3), jnp.array([2, 0, 1])
    moved = {name: values[:, order] for name, values in batch.items()}
    plain = latents_of(model, params, batch)
    np.testing.assert_allclose(
        latents_of(model, params, moved), plain[:, order], atol=1e-5, rtol=1e-4
    )
    changed = batch | {"signal": batch["signal"].at[:, 2].multiply(-1.0)}
    difference = jnp.abs(latents_of(model, params, changed) - plain).max(axis=(0, 2, 3, 4))
    assert (difference > 1e-3).all(), "channel attention passes nothing"


def stack_of(mixer):
    stack = Stack(BlockConfig(2, jnp.dtype("float32"), mixer, channel_smoothing=False), 1, "none")
    tokens = jax.random.normal(jax.random.key(0), (2, 2, 6, 2, 16))
    times = jnp.broadcast_to(jnp.array([0, 1, 4, 5, 9, 11])[:, None], (2, 6, 2))
    given = (times, jnp.ones((2, 2), bool))
    params = compiled_init(stack, 1, tokens, *given)
    # Fresh kernels are so small that attention is nearly uniform.
    params = jax.tree.map(lambda leaf: 10 * leaf, params)
    return jax.jit(functools.partial(stack.apply, params)), tokens, given


@every_mixer
def test_padded_tokens_reach_no_other(mixer):
    mix, tokens, given = stack_of(mixer)
    mask = jnp.broadcast_to(jnp.arange(6)[:, None] < 4, (2, 6, 2))
    other = tokens.at[:, :, 4:].set(9.0)
    found, wanted = mix(other, *given, mask), mix(tokens, *given, mask)
    np.testing.assert_allclose(found[:, :, :4], wanted[:, :, :4], atol=1e-6)


@every_mixer
def test_a_mixer_knows_the_times_of_tokens(mixer):
    """Columns that are visible under a mask may be far apart."""
    mix, tokens, (times, present) = stack_of(mixer)
    shifted = mix(tokens, times + 3, present)
    np.testing.assert_allclose(shifted, mix(tokens, times, present), atol=1e-3)
    stretched = mix(tokens, 3 * times, present)
    assert jnp.abs(stretched - mix(tokens, times, present)).max() > 0.1


@every_mixer
def test_parameters_lie_under_the_name_of_the_mixer(mixer):
    params = jax.eval_shape(lambda: random_params(tiny_model(time_mixer=mixer)))
    for part in ("encoder", "decoder"):
        assert f"time_{mixer}" in params[part]["stack"]["blocks"]


def test_a_new_mixer_trains():
    config = get_config("preset=debug")
    config.model.time_mixer, config.num_devices = "average", 1
    assert build_pretrain_spec(typed(config)).model.config.time_mixer == "average"
    spec = pretrain_task(time_mixer="average")
    params = random_params(spec.model)
    state = TrainState.start(jax.random.key(0), params, spec.optimizer)
    batch = random_batch(4, 2, spec.model.config.num_samples)
    batch |= {"subject": jnp.arange(4)}
    step = jax.jit(lambda s: train_step(spec, s, batch))
    # The learning rate of the first step is 0.
    after, metrics = step(step(state)[0])
    assert np.isfinite(metrics["loss"])
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), after.params, params)
    mixers = [moved[part]["stack"]["blocks"]["time_average"] for part in ("encoder", "decoder")]
    assert min(jax.tree.leaves(mixers)) > 0


def test_operations_are_those_that_the_mixer_counts():
    cfg = tiny_model(time_mixer="average", channel_attention=False).config
    tokens = 3 * cfg.num_tokens
    mlp = 2 * linear_operations(cfg.width, 4 * cfg.width, 0.0)
    average = linear_operations(cfg.width, cfg.width, 0.0)
    assert flops.feature_operations(cfg, 3).encoder == cfg.depth * tokens * (average + mlp)


@pytest.mark.parametrize(
    "changes",
    [{"time_mixer": "average"}, {"time_mixer": "state_space", "attention_every": 2}],
)
def test_a_run_with_any_mixer_is_loaded_and_encodes_any_length(changes, tmp_path):
    folder = write_run(tmp_path / "run", **changes)
    loaded = Encoder.from_checkpoint(folder, num_devices=1)
    assert loaded.programs.config.time_mixer == changes["time_mixer"]
    signals = [beats(seconds, 100) for seconds in (2.5, 4, 9)]
    found = loaded.encode(signals, sampling_rate_hz=100, channels=["I", "II", "V1"])
    assert found.shape == (3, 32)
    assert np.isfinite(found).all()


def test_a_mixer_without_weights_shows_no_attention():
    made = encoder(time_mixer="average")
    given = {"sampling_rate_hz": 100, "channels": ["I", "II", "V1"]}
    with pytest.raises(ConfigError, match=r"'average', which computes no attention weights; insp"):
        made.attention(beats(5, 100), **given)
    assert made.reconstruct(beats(5, 100), **given).masked.any()


def test_a_model_written_without_a_mixer_has_attention(tmp_path):
    content = dataclasses.asdict(tiny_model().config)
    earlier = {name: value for name, value in content.items() if name != "time_mixer"}
    assert parse_model_config(earlier, "a run").time_mixer == "attention"
    reject_other_model(tmp_path, {"model": earlier}, {"model": content})
    message = r"model\.time_mixer: 'attention' in the run, 'average' in the config"
    with pytest.raises(ConfigError, match=message):
        reject_other_model(
            tmp_path, {"model": earlier}, {"model": content | {"time_mixer": "average"}}
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_mixer": "atention"}, r"'atention'; choose .* Did you mean 'attention'\?"),
        ({"time_mixer": 3}, r"model\.time_mixer is 3; it must be text"),
        (
            {"time_mixer": "average", "decoder_attention": "joint"},
            r"one channel at a time; set .* 'factorized', or .* to one of attention\.",
        ),
    ],
)
def test_mixers_that_cannot_be_are_rejected(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_model(**changes)
