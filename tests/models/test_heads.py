"""Laws of every head, and the angles of ArcFace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.heads import HEADS, SAMPLE_HEADS
from physio_mae_jax.models.heads.arcface import ArcFace
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.models.heads.segmenter import Segmenter
from physio_mae_jax.models.window_batch import Windows
from tests.factories import (
    compiled_apply,
    compiled_init,
    random_batch,
    random_variables,
    tiny_model,
)

every_head = pytest.mark.parametrize("kind", HEADS)


def head_and_params(kind, **changes):
    settings = HeadConfig(kind=kind, num_classes=3, num_queries=4, hidden_width=16, **changes)
    head = HEADS[kind](tiny_model().config, settings)
    latents = jax.random.normal(jax.random.key(0), (2, 3, 6, 4, 32))
    mask = jnp.ones(latents.shape[:-1], bool)
    return head, random_variables(head, latents, mask, False), latents


@every_head
def test_undefined_latents_reach_no_embedding(kind):
    head, params, latents = head_and_params(kind)
    mask = jnp.ones(latents.shape[:-1], bool).at[:, 1].set(False).at[1, :, 4:].set(False)
    embed = jax.jit(lambda values: compiled_apply(head, params, values, mask, False))
    embedding = embed(latents)
    assert embedding.dtype == jnp.float32
    assert embedding.ndim == len(embedding) == 2
    undefined = jnp.where(mask[..., None], latents, 1e4)
    np.testing.assert_allclose(embed(undefined), embedding, rtol=1e-5, atol=1e-5)
    without = latents[:1, jnp.array([0, 2])]
    alone = compiled_apply(head, params, without, jnp.ones(without.shape[:-1], bool), False)
    np.testing.assert_allclose(embedding[:1], alone, rtol=5e-5, atol=1e-5)


@every_head
def test_the_order_of_the_channels_changes_no_embedding(kind):
    head, params, latents = head_and_params(kind)
    mask = jnp.ones(latents.shape[:-1], bool).at[1, 2].set(False)
    order = jnp.array([2, 0, 1])
    embed = jax.jit(lambda values, mask: head.apply(params, values, mask, False))
    found = embed(latents[:, order], mask[:, order])
    np.testing.assert_allclose(found, embed(latents, mask), rtol=5e-5, atol=1e-5)


@every_head
@pytest.mark.parametrize("arcface", [False, True])
def test_logits_are_computed_from_the_embedding(kind, arcface):
    settings = HeadConfig(kind=kind, num_classes=3, num_queries=4, hidden_width=16, arcface=arcface)
    cfg = tiny_model(depth=1).config
    model, windows = Classifier(cfg, settings), Windows.of(random_batch(2, 3))
    params = random_variables(model, windows)

    @jax.jit
    def outputs(params):
        embedding = model.apply(params, windows, method="features")
        again = model.apply(params, embedding, method="logits")
        return embedding, model.apply(params, windows), again

    embedding, logits, again = outputs(params)
    widths = {"residual_mlp": 16, "statistics": 2 * cfg.width, "event": 3 * cfg.width}
    assert embedding.shape == (2, widths.get(kind, cfg.width))
    assert logits.shape == (2, 3)
    np.testing.assert_allclose(again, logits, rtol=1e-5, atol=1e-5)
    assert set(params["params"]) - {"encoder", "head"} == {"arcface" if arcface else "output"}


def test_the_event_head_weights_the_tokens_near_the_event():
    head, params, latents = head_and_params("event", event_offset=0.25)
    mask = jnp.ones(latents.shape[:-1], bool)
    embed = jax.jit(lambda values: compiled_apply(head, params, values, mask, False)[:, :32])
    changes = [
        float(jnp.abs(embed(latents.at[:, :, column].multiply(3.0)) - embed(latents)).max())
        for column in range(latents.shape[2])
    ]
    # The event is in column 1 of 6, of 0.2 s each.
    assert min(changes[:3]) > 100 * max(changes[4:])


def test_the_statistics_head_tells_a_burst_from_its_mean():
    head, params, latents = head_and_params("statistics")
    mask = jnp.ones(latents.shape[:-1], bool)
    flat = jnp.broadcast_to(latents.mean(axis=(1, 2, 3), keepdims=True), latents.shape)
    burst, even = (compiled_apply(head, params, x, mask, False) for x in (latents, flat))
    np.testing.assert_allclose(burst[:, :32], even[:, :32], atol=1e-4)
    assert jnp.abs(burst[:, 32:] - even[:, 32:]).max() > 0.1


def test_dropout_acts_in_training_only():
    head, params, latents = head_and_params("reasoning")
    mask = jnp.ones(latents.shape[:-1], bool)
    first, second = (
        compiled_apply(head, params, latents, mask, True, rngs={"dropout": jax.random.key(seed)})
        for seed in (0, 1)
    )
    assert jnp.abs(first - second).max() > 1e-3
    compiled_apply(head, params, latents, mask, False)


def test_attention_pooling_starts_as_the_mean():
    settings = HeadConfig(kind="attention", num_classes=2)
    head = HEADS["attention"](tiny_model().config, settings)
    latents = jax.random.normal(jax.random.key(0), (2, 3, 6, 4, 32))
    mask = jnp.ones(latents.shape[:-1], bool)
    params = compiled_init(head, 1, latents, mask, False)["params"]
    assert not np.asarray(params["pool"]["query"]["kernel"]).any()
    pooled = jax.nn.standardize(latents, epsilon=1e-5).mean(axis=(1, 2, 3))
    wanted = jax.nn.standardize(pooled, epsilon=1e-5)
    found = compiled_apply(head, {"params": params}, latents, mask, False)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_an_unknown_head_is_rejected_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"'reason'; choose .* Did you mean 'reasoning'\?"):
        HeadConfig(kind="reason", num_classes=2)


@pytest.mark.parametrize("kind", SAMPLE_HEADS)
def test_samples_are_classified_by_the_tokens_of_their_channel(kind):
    """Undefined latents and signal reach no sample elsewhere, and channels do not meet."""
    cfg = tiny_model().config
    head = SAMPLE_HEADS[kind](cfg, HeadConfig(kind=kind, num_classes=3))
    latents = jax.random.normal(jax.random.key(0), (2, 3, 6, 4, 32))
    signal = jax.random.normal(jax.random.key(1), (2, 3, 6 * cfg.patch_samples))
    mask = jnp.ones(latents.shape[:-1], bool).at[:, 1].set(False).at[1, :, 4:].set(False)
    params = compiled_init(head, 2, latents, mask, signal)
    classify = jax.jit(lambda *values: compiled_apply(head, params, *values))
    logits = classify(latents, mask, signal)
    assert logits.shape == (2, 3, 6 * cfg.patch_samples, 3)
    valid = jnp.repeat(mask.any(-1), cfg.patch_samples, axis=2)
    undefined = classify(
        jnp.where(mask[..., None], latents, 1e4), mask, jnp.where(valid, signal, 1e4)
    )
    np.testing.assert_allclose(undefined[valid], logits[valid], atol=1e-5)
    alone = classify(latents[:, 2:], mask[:, 2:], signal[:, 2:])
    np.testing.assert_allclose(alone[:, 0], logits[:, 2], atol=1e-5)
    short = 4 * cfg.patch_samples
    cut = classify(latents[1:, :1, :4], mask[1:, :1, :4], signal[1:, :1, :short])
    np.testing.assert_allclose(cut[0, 0], logits[1, 0, :short], atol=1e-5)


@pytest.mark.parametrize("kind", SAMPLE_HEADS)
def test_a_segmenter_gives_logits_of_each_sample(kind):
    cfg = tiny_model(depth=1).config
    model, windows = Segmenter(cfg, HeadConfig(kind=kind, num_classes=4)), random_batch(2, 3)
    windows = Windows.of(windows)
    params = jax.jit(model.init)(jax.random.key(0), windows)
    assert set(params["params"]) == {"encoder", "head"}
    logits = compiled_apply(model, params, windows)
    assert logits.shape == (2, 3, cfg.num_samples, 4)
    assert logits.dtype == jnp.float32


@pytest.mark.parametrize("margin", [0.2, 0.5])
def test_arcface_turns_the_right_class_away_by_the_margin(margin):
    rng = np.random.default_rng(1)
    features = jnp.asarray(rng.normal(size=(200, 16)), jnp.float32)
    module = ArcFace(5, 30.0, margin)
    params = compiled_init(module, 0, features)
    labels = jnp.asarray(rng.integers(0, 5, 200))
    plain, turned = (
        compiled_apply(module, params, features),
        compiled_apply(module, params, features, labels),
    )
    angle = np.arccos(np.clip(np.asarray(plain, np.float64) / 30, -1, 1))
    right = np.eye(5, dtype=bool)[np.asarray(labels)]
    np.testing.assert_allclose(turned[~right], plain[~right], atol=1e-5)
    expected = 30 * np.cos(angle[right] + margin)
    # Past pi - m the angle cannot be enlarged; there a straight line goes on falling.
    inside = angle[right] < np.pi - margin
    np.testing.assert_allclose(turned[right][inside], expected[inside], atol=2e-3)
    assert (turned[right] < plain[right]).all()


def test_arcface_falls_steadily_with_the_angle_of_the_right_class():
    module = ArcFace(2, 30.0, 0.5)
    params = {"params": {"classes": jnp.asarray([[1.0, 0.0], [0.0, 1.0]])}}
    angles = np.linspace(0.01, np.pi - 0.01, 400)
    features = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    logits = compiled_apply(module, params, features, jnp.zeros(400, int))[:, 0]
    assert (np.diff(logits) < 1e-4).all()
    total = lambda f: module.apply(params, f, jnp.zeros(400, int))[:, 0].sum()  # noqa: E731
    gradient = jax.jit(jax.grad(total))(features)
    assert np.isfinite(gradient).all()
