"""The state-space mixer: cost linear in length, and stacks that mix it with attention."""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.pretrain import get_config
from physio_mae_jax.benchmarks import flops
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec
from physio_mae_jax.models.block import Block
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.layer_plan import ALIKE, GROUPED, GROUPED_ATTENTION, LayerPlan
from physio_mae_jax.models.mixers.base import Geometry, SequenceShape
from physio_mae_jax.models.mixers.state_space import StateSpace
from physio_mae_jax.models.rotary import rotary_rotation
from physio_mae_jax.models.stack import Stack
from physio_mae_jax.objectives.masking import MaskConfig
from tests.encoders import beats, encoder
from tests.factories import random_variables, tiny_model
from tests.runs import typed

HYBRID = {"time_mixer": "state_space", "attention_every": 2, "state_size": 8}
GIVEN = {"sampling_rate_hz": 100, "channels": ["I", "II", "V1"]}
SETTINGS = BlockConfig(2, jnp.dtype("float32"), "state_space", state_size=8)


def geometry_of(times, rows=2):
    """Return the geometry of one example whose columns are at ``times``."""
    times = jnp.broadcast_to(jnp.asarray(times)[:, None], (1, len(times), rows))
    return Geometry(times, rotary_rotation(times.reshape(1, -1), 8), None)


def test_operations_and_memory_grow_as_the_length_does():
    """As the compiler counts and plans them for a gradient."""
    mixer = StateSpace(SETTINGS)

    def loss(params, tokens, times):
        return mixer.apply(params, tokens, geometry_of(times)).values.sum()

    operations, memory = [], []
    for columns in (512, 1024):
        tokens, times = jnp.zeros((1, 1, columns, 2, 16)), jnp.arange(columns)
        params = random_variables(mixer, tokens, geometry_of(times))
        program = jax.jit(jax.grad(loss)).lower(params, tokens, times).compile()
        operations.append(program.cost_analysis()["flops"])
        memory.append(program.memory_analysis().temp_size_in_bytes)
    assert operations[1] < 2.1 * operations[0]
    assert memory[1] < 2.1 * memory[0]


def test_operations_are_counted_linearly():
    counts = [
        StateSpace.operations(SETTINGS, SequenceShape(3, tokens, 2, 16))
        for tokens in (2_000, 20_000)
    ]
    assert counts[1] == 10 * counts[0]


def test_a_stack_is_its_layers_in_order():
    """A group that ends in attention, then the layer that is left."""
    settings = SETTINGS._replace(attention_every=2)
    stack = Stack(settings, 3, "none")
    tokens = jax.random.normal(jax.random.key(0), (1, 1, 6, 2, 16))
    geometry, present = geometry_of([0, 1, 4, 5, 9, 11]), jnp.ones((1, 1), bool)
    variables = random_variables(stack, tokens, geometry.times, present)
    found = jax.jit(stack.apply)(variables, tokens, geometry.times, present)
    paths = [(*GROUPED, 0, 0), (*GROUPED_ATTENTION, 0), (*ALIKE, 0)]

    def by_layer(params, tokens):
        for path, mixer in zip(paths, LayerPlan(3, 2).mixers("state_space"), strict=True):
            names = [name for name in path if isinstance(name, str)]
            layers = functools.reduce(dict.get, names, params)
            one = jax.tree.map(operator.itemgetter(path[len(names) :]), layers)
            block = Block(settings._replace(time_mixer=mixer))
            tokens, _ = block.apply({"params": one}, tokens, geometry, present)
        standard = jax.nn.standardize(tokens, epsilon=1e-5)
        return standard * params["norm"]["scale"] + params["norm"]["bias"]

    wanted = jax.jit(by_layer)(variables["params"], tokens)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_a_sequence_of_one_chunk_is_the_same_in_every_compiled_program():
    """A loop over one chunk within the loop over layers read uninitialized memory on a CPU."""
    stack = Stack(SETTINGS._replace(channel_attention=False), 4, "none")
    tokens = jax.random.normal(jax.random.key(0), (12, 2, 50, 2, 16))
    times = jnp.broadcast_to(jnp.arange(50)[:, None], (12, 50, 2))
    present = jnp.ones((12, 2), bool)
    variables = random_variables(stack, tokens, times, present)
    text = str(jax.make_jaxpr(stack.apply)(variables, tokens, times, present))
    assert text.count(" scan[") == 1

    def compiled():
        # A new function: otherwise the program would be found in the cache.
        mix = jax.jit(lambda held: stack.apply(held, tokens, times, present))
        return np.asarray(mix.lower(variables).compile()(variables))

    first = compiled()
    for _ in range(3):
        np.testing.assert_allclose(compiled(), first, atol=1e-5)


def test_an_absent_channel_changes_no_other():
    stack = Stack(SETTINGS._replace(attention_every=2), 2, "none")
    tokens = jax.random.normal(jax.random.key(0), (1, 2, 6, 2, 16))
    times = geometry_of([0, 1, 4, 5, 9, 11]).times
    variables = random_variables(stack, tokens, times, jnp.ones((1, 2), bool))
    mix = jax.jit(stack.apply)
    both, first = jnp.ones((1, 2), bool), jnp.array([[True, False]])
    found, wanted = (
        mix(variables, given, times, first)[:, 0] for given in (tokens.at[:, 1].set(9.0), tokens)
    )
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(mix(variables, tokens, times, both)[:, 0] - wanted).max() > 1e-3


def test_every_parameter_of_a_hybrid_learns():
    stack = Stack(SETTINGS._replace(attention_every=2), 2, "full")
    tokens = jax.random.normal(jax.random.key(0), (1, 1, 6, 2, 16))
    given = (geometry_of([0, 1, 4, 5, 9, 11]).times, jnp.ones((1, 1), bool))
    variables = random_variables(stack, tokens, *given)
    gradient = jax.jit(jax.grad(lambda v: jnp.sin(stack.apply(v, tokens, *given)).sum()))(variables)
    sizes = jax.tree.map(lambda leaf: np.abs(leaf).max(), gradient)
    assert min(jax.tree.leaves(sizes)) > 0
    assert max(jax.tree.leaves(sizes)) < np.inf


def test_a_hybrid_shows_the_attention_of_its_layers():
    made = encoder(**HYBRID)
    window = made.attention(beats(5, 100), **GIVEN)
    assert window.received.mean() == pytest.approx(1, abs=1e-4)
    assert window.title.endswith("mean of the layers of attention")
    last = made.attention(beats(5, 100), layer=-1, **GIVEN)
    np.testing.assert_array_equal(last.received, window.received)
    # Attention across channels is in every layer.
    assert np.abs(last.between - window.between).max() > 1e-4
    with pytest.raises(ConfigError, match=r"layer is 0, of .*'state_space'.*; choose one of 1\."):
        made.attention(beats(5, 100), layer=0, **GIVEN)


def test_operations_of_a_hybrid_are_those_of_its_layers():
    pure = tiny_model(depth=4, **HYBRID | {"attention_every": 0}).config
    attention, hybrid = tiny_model(depth=4).config, tiny_model(depth=4, **HYBRID).config
    of_pure, of_attention, of_hybrid = (
        flops.feature_operations(cfg, 3).encoder for cfg in (pure, attention, hybrid)
    )
    assert 2 * of_hybrid == of_pure + of_attention


@pytest.mark.parametrize("preset", ["tiny", "small", "base", "upstream"])
def test_v31_has_attention_in_every_fourth_layer(preset):
    config = get_config(f"preset={preset},variant=v31")
    config.num_devices = 1
    cfg = build_pretrain_spec(typed(config)).model.config
    assert (cfg.time_mixer, cfg.attention_every) == ("state_space", 4)
    assert cfg.depth % 4 == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_every": 4}, r"attention_every=4 with .*'attention' is attention in every"),
        ({"time_mixer": "state_space", "attention_every": 1}, "to 2 or more with another"),
        ({"time_mixer": "state_space", "state_size": 7}, "state_size=7 must be even.*set it to 8"),
        ({"time_mixer": "state_space", "encoder_attention": "joint"}, "one channel at a time"),
    ],
)
def test_stacks_that_cannot_be_are_rejected(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_model(**changes)


def test_masks_that_tear_columns_apart_are_rejected():
    cfg = tiny_model(waveform_branch=False, **HYBRID).config
    with pytest.raises(ConfigError, match=r"'state_space' needs whole columns; set .* 'tube'"):
        MaskConfig(kind="random_rows").check_against(cfg)
    MaskConfig(kind="time_scale").check_against(cfg)
