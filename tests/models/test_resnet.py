"""Laws of the convolutional baselines, and what proves that they are the published networks."""

import dataclasses
import functools
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.resnet import (
    BASELINES,
    BasicBlock,
    Bottleneck,
    ConvNorm,
    ResNetBase,
    ResNetConfig,
    make_resnet,
)
from physio_mae_jax.models.window_batch import Windows
from tests.factories import random_batch

# Even at first and odd after two halvings; one shape in most tests, which compiles once.
SAMPLES = 100
WANG = ResNetConfig(architecture="resnet1d_wang", width=8, blocks=(1, 1, 1))
XRESNET = ResNetConfig(architecture="xresnet1d101", width=4, blocks=(2, 1))
both = pytest.mark.parametrize("config", [WANG, XRESNET], ids=lambda cfg: cfg.architecture)


def fill(path: tuple[Any, ...], position: int, shape: tuple[int, ...]) -> jax.Array:
    """Fill a parameter with a wave of its own, of a size that keeps activations near one."""
    wave = np.sin((1 + 0.37 * position) * np.arange(1, np.prod(shape) + 1)).reshape(shape)
    kind = path[-1].key
    size, center = {
        "kernel": (2 / np.sqrt(np.prod(shape[:-1])), 0.0),
        "scale": (0.2, 1.0),
        "bias": (0.2, 0.0),
        "mean": (0.2, 0.0),
        "var": (0.4, 1.0),
    }[kind]
    return jnp.asarray(center + size * wave, jnp.float32)


def patterned(config: ResNetConfig, channels: int = 3) -> Any:
    """Make variables of which none is zero, equal to another or at its start."""
    shapes = abstract(config, channels)
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    return jax.tree.unflatten(tree, [fill(p, i, x.shape) for i, (p, x) in enumerate(leaves)])


def abstract(config: ResNetConfig, channels: int) -> Any:
    init = functools.partial(make_resnet(config).init, method="features")
    return jax.eval_shape(init, jax.random.key(0), Windows.of(random_batch(1, channels, SAMPLES)))


@functools.partial(jax.jit, static_argnames="config")
def features(variables: Any, batch: dict[str, Any], config: ResNetConfig) -> Any:
    return make_resnet(config).apply(variables, Windows.of(batch), method="features")


@functools.partial(jax.jit, static_argnames="config")
def train_features(variables: Any, batch: dict[str, Any], config: ResNetConfig) -> Any:
    return make_resnet(config).apply(
        variables, Windows.of(batch), train=True, mutable=["batch_stats"], method="features"
    )


def test_parameter_counts_are_those_of_the_published_layers() -> None:
    """Twelve leads, no head. A convolution of k taps, no bias: k · in · out; a norm: 2 · out."""
    # Stem; block one keeps the shape; blocks two and three have a convolution of one tap besides.
    wang_stem = 7 * 12 * 128 + 2 * 128
    wang_block = (5 * 128 * 128 + 2 * 128) + (3 * 128 * 128 + 2 * 128)
    wang = wang_stem + wang_block + 2 * (wang_block + 1 * 128 * 128 + 2 * 128)
    assert wang == 439_040
    # Stem 12 -> 32 -> 32 -> 64 of 5 taps; 33 bottlenecks to 256, the first of them from 64 with
    # the only convolution on a shortcut, the others from 256.
    xresnet_stem = 5 * (12 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64)
    after_narrow = (5 * 64 * 64 + 2 * 64) + (64 * 256 + 2 * 256)
    first = (64 * 64 + 2 * 64) + after_narrow + (64 * 256 + 2 * 256)
    others = (3 + 4 + 23 + 3 - 1) * ((256 * 64 + 2 * 64) + after_narrow)
    xresnet = xresnet_stem + first + others
    assert xresnet == 1_804_672
    for name, count in (("resnet1d_wang", wang), ("xresnet1d101", xresnet)):
        params = abstract(BASELINES[name], channels=12)["params"]
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize(
    ("name", "samples", "steps"),
    [
        # Strides 1 · 1 · 2 · 2 and 2 (stem) · 2 (pool) · 1 · 2 · 2 · 2; 2.5 s and 10 s at 100 Hz.
        ("resnet1d_wang", 250, 63),
        ("resnet1d_wang", 1000, 250),
        ("xresnet1d101", 250, 8),
        ("xresnet1d101", 1000, 32),
        ("xresnet1d101", 1, 1),
    ],
)
def test_the_total_stride_is_4_and_32(name: str, samples: int, steps: int) -> None:
    model, batch = make_resnet(BASELINES[name]), random_batch(2, 12, samples)
    init = functools.partial(model.init_with_output, method="feature_map")
    out, _ = jax.eval_shape(init, jax.random.key(0), batch["signal"], batch["channel_mask"])
    assert out.shape == (2, steps, {"resnet1d_wang": 128, "xresnet1d101": 256}[name])


def batch_of_waves() -> dict[str, Any]:
    """Make three windows of three channels from sines."""
    batch = random_batch(3, 3, SAMPLES)
    position = np.arange(1, batch["signal"].size + 1).reshape(batch["signal"].shape)
    return batch | {"signal": jnp.asarray(1.5 * np.sin(0.83 * position), jnp.float32)}


# What the authors' code (helme/ecg_ptbxl_benchmarking, run by PyTorch 1.13 in float64) puts in
# front of its head when given these parameters and waves: three maxima of window 0, three means
# of window 1, the sum over all windows; first with running statistics, then with those of the
# batch.
AUTHORS = {
    "resnet1d_wang": WANG,
    "xresnet1d101": ResNetConfig(architecture="xresnet1d101", width=64, blocks=(2, 2)),
}
AUTHORS_FEATURES = {
    "resnet1d_wang": (
        [8.047958, 3.676888, 4.205298, 3.137435, 0.4370024, 0.4493942, 188.0938],
        [3.453946, 3.217188, 3.36696, 0.6914987, 0.4548009, 0.4907886, 85.23634],
    ),
    "xresnet1d101": (
        [1.599773, 2.74777, 1.479401, 0.4630627, 0.8206456, 0.5117819, 823.7786],
        [2.894595, 3.638289, 2.731707, 1.368781, 1.976347, 1.549523, 3681.032],
    ),
}


@pytest.mark.parametrize("name", AUTHORS_FEATURES)
def test_features_equal_those_of_the_authors_code(name: str) -> None:
    variables, batch = patterned(AUTHORS[name]), batch_of_waves()
    running, of_batch = AUTHORS_FEATURES[name]
    trained, _ = train_features(variables, batch, AUTHORS[name])
    for got, expected in (
        (features(variables, batch, AUTHORS[name]), running),
        (trained, of_batch),
    ):
        half = got.shape[1] // 2
        figures = [*got[0, :3], *got[1, half : half + 3], got.sum()]
        np.testing.assert_allclose(figures, expected, rtol=5e-4)


@both
@pytest.mark.parametrize("samples", [1, SAMPLES])
def test_a_window_of_any_length_becomes_one_vector(config: ResNetConfig, samples: int) -> None:
    out = features(patterned(config), random_batch(3, 3, samples), config)
    assert out.shape == (3, {WANG: 2 * 8, XRESNET: 8 * 4}[config])
    assert out.dtype == jnp.float32
    assert jnp.isfinite(out).all()


@both
def test_what_an_absent_channel_holds_changes_nothing(config: ResNetConfig) -> None:
    variables, batch = patterned(config), random_batch(3, 3, SAMPLES)
    absent = batch | {"channel_mask": batch["channel_mask"].at[:, 1].set(False)}
    garbage = absent | {"signal": batch["signal"].at[:, 1].set(jnp.nan)}
    expected = features(variables, absent, config)
    np.testing.assert_array_equal(features(variables, garbage, config), expected)
    assert not np.allclose(expected, features(variables, batch, config), atol=1e-3)
    for got, want in zip(
        jax.tree.leaves(train_features(variables, garbage, config)),
        jax.tree.leaves(train_features(variables, absent, config)),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)


@both
def test_windows_of_a_batch_meet_in_training_only(config: ResNetConfig) -> None:
    variables, batch = patterned(config), random_batch(3, 3, SAMPLES)
    other = batch | {"signal": batch["signal"].at[1:].multiply(3.0)}
    one, same = (features(variables, values, config)[0] for values in (batch, other))
    np.testing.assert_array_equal(one, same)
    one, moved = (train_features(variables, values, config)[0][0] for values in (batch, other))
    assert not np.allclose(one, moved, atol=1e-2)


@both
def test_running_statistics_come_to_those_of_the_batch(config: ResNetConfig) -> None:
    """After enough passes in training mode evaluation gives what training gave."""
    variables, batch = patterned(config), random_batch(3, 3, SAMPLES)
    (trained, updated) = train_features(variables, batch, config)
    for before, after in zip(
        jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(updated), strict=True
    ):
        assert (before != after).all()
    # Each pass leaves .9 of what was there: .9^150 of the start is left.
    for _ in range(150):
        _, updated = train_features(variables | updated, batch, config)
    evaluated = features(variables | updated, batch, config)
    np.testing.assert_allclose(evaluated, trained, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [10, 11])
def test_a_strided_convolution_is_centered_on_the_steps_it_keeps(steps: int) -> None:
    values = jax.random.normal(jax.random.key(0), (2, steps, 4))
    module = ConvNorm(4, 5, jnp.dtype("float32"), stride=2, rectify=False)
    variables = jax.jit(functools.partial(module.init, train=False))(jax.random.key(1), values)
    variables["params"]["convolution"]["kernel"] = jnp.zeros((5, 4, 4)).at[2].set(jnp.eye(4))
    out = module.apply(variables, values, False)
    np.testing.assert_allclose(out * np.sqrt(1 + 1e-5), values[:, ::2], rtol=1e-5)


@pytest.mark.parametrize(("steps", "stride"), [(10, 1), (10, 2), (11, 2)])
def test_an_untrained_bottleneck_hands_on_its_shortcut(steps: int, stride: int) -> None:
    values = jax.random.uniform(jax.random.key(0), (2, steps, 16))
    module = Bottleneck(4, jnp.dtype("float32"), stride)
    init = jax.jit(functools.partial(module.init_with_output, train=True))
    out, _ = init(jax.random.key(1), values)
    # Of an odd number of steps the last is averaged with nothing.
    expected = [values[:, i : i + stride].mean(axis=1) for i in range(0, steps, stride)]
    np.testing.assert_allclose(out, jnp.stack(expected, axis=1), rtol=1e-6)


def test_kernels_start_from_the_whole_normal_of_kaiming() -> None:
    values = jnp.zeros((1, 8, 64))
    init = jax.jit(functools.partial(BasicBlock(64, jnp.dtype("float32")).init, train=False))
    block = init(jax.random.key(0), values)["params"]
    for name, taps in (("first", 5), ("second", 3)):
        kernel = block[name]["convolution"]["kernel"] / np.sqrt(2 / (taps * 64))
        assert kernel.std() == pytest.approx(1.0, abs=0.03)
        assert abs(kernel).max() > 3


@both
def test_every_parameter_has_a_gradient(config: ResNetConfig) -> None:
    variables, batch = patterned(config), random_batch(3, 3, SAMPLES)

    @jax.jit
    def gradient(params: Any) -> Any:
        def loss(params: Any) -> jax.Array:
            out, _ = train_features(variables | {"params": params}, batch, config)
            return (out * jnp.sin(jnp.arange(out.size).reshape(out.shape))).sum()

        return jax.grad(loss)(params)

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient(variables["params"])):
        assert jnp.isfinite(leaf).all(), path
        assert abs(leaf).max() > 1e-4, path


@both
def test_bfloat16_comes_close_and_keeps_float32_parameters(config: ResNetConfig) -> None:
    half = dataclasses.replace(config, compute_dtype="bfloat16")
    variables, batch = patterned(config), random_batch(3, 3, SAMPLES)
    out, expected = features(variables, batch, half), features(variables, batch, config)
    assert out.dtype == jnp.float32
    assert not np.array_equal(out, expected)
    assert jnp.linalg.norm(out - expected) < 0.02 * jnp.linalg.norm(expected)
    trained = jax.eval_shape(functools.partial(train_features, config=half), variables, batch)
    for kept in (abstract(half, channels=3), trained):
        assert {leaf.dtype for leaf in jax.tree.leaves(kept)} == {jnp.dtype("float32")}


@both
def test_equal_shapes_compile_once(config: ResNetConfig) -> None:
    variables, traced = patterned(config), []

    @jax.jit
    def run(variables: Any, batch: dict[str, Any]) -> Any:
        traced.append(batch["signal"].shape)
        return train_features(variables, batch, config)

    for seed in range(3):
        batch = random_batch(2, 3, SAMPLES, seed)
        batch["channel_mask"] = batch["channel_mask"].at[:, seed].set(False)
        _, updated = run(variables, batch)
        variables = variables | updated
    assert len(traced) == 1


def test_another_number_of_channels_than_that_of_the_parameters_is_rejected() -> None:
    with pytest.raises(flax.errors.ScopeParamShapeError):
        features(patterned(WANG), random_batch(2, 4, SAMPLES), WANG)


def test_every_published_network_can_be_made_by_its_name() -> None:
    for name, config in BASELINES.items():
        assert config.architecture == name
        assert isinstance(make_resnet(config), ResNetBase)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"architecture": "resnet50"}, ["model.architecture", "'resnet50'", "xresnet1d101"]),
        ({"compute_dtype": "float16"}, ["model.compute_dtype", "'float16'", "bfloat16"]),
        ({"width": 0}, ["model.width", "0", ">= 1", "128 as published"]),
        ({"width": 8.0}, ["model.width", "8.0", "integer"]),
        ({"architecture": "xresnet1d101", "width": 7}, ["model.width", "got 7", "even"]),
        ({"blocks": ()}, ["model.blocks", "()", "(1, 1, 1) as published"]),
        ({"blocks": (2, 0)}, ["model.blocks", "(2, 0)", ">= 1"]),
        ({"blocks": [1, 1]}, ["model.blocks", "[1, 1]", "tuple"]),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        dataclasses.replace(WANG, **changes)
    for part in parts:
        assert part in str(error.value)
