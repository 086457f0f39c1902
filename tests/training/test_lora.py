"""Adapters change nothing at first, are all that is trained, and become part of the kernels."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.commands.evaluate import build_evaluation, evaluate_run
from physio_mae_jax.commands.finetune import finetune
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.training.lora import LoraConfig, init_adapters, merge_adapters
from physio_mae_jax.training.supervised_trainable import load_best
from tests.factories import random_params, tiny_model
from tests.runs import head_config, typed
from tests.training.fine_tunings import assert_same, build, take_steps

LORA = {"lora.rank": 2, "lora.alpha": 4.0}
MODELS = {
    "attention": {},
    "low rank": {"mlp_rank_ratio": 0.5, "attention_rank_ratio": 0.5},
    "hybrid": {"time_mixer": "state_space", "attention_every": 2, "depth": 3},
}


@pytest.mark.parametrize("name", MODELS)
def test_every_dense_layer_of_the_blocks_has_an_adapter(name):
    encoder = random_params(tiny_model(**MODELS[name]))["encoder"]
    config = LoraConfig(rank=2, alpha=6.0)
    adapters = jax.jit(lambda: init_adapters(encoder, config, jax.random.key(1)))()
    assert_same(merge_adapters(encoder, adapters, config), encoder)
    ones = jax.tree.map(jnp.ones_like, adapters)
    moved = jax.tree.map(lambda new, old: new - old, merge_adapters(encoder, ones, config), encoder)
    for path, leaf in jax.tree_util.tree_leaves_with_path(moved):
        names = [key.key for key in path]
        dense = names[0] == "stack" and names[-1] == "kernel" and names[-2] != "smoothing"
        # The product of ones of rank 2, times 6 / 2.
        np.testing.assert_allclose(leaf, 6.0 if dense else 0.0, atol=1e-5)


def test_only_adapters_and_the_head_are_trained_and_have_moments(
    waves_root, pretrained, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    run = build(waves_root, tmp_path, init_from=str(pretrained), **LORA)
    before, *_, after = take_steps(run, 3)
    assert_same(after.params["encoder"], run.trainable.encoder.params)
    for part in ("lora", "head", "output"):
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before.params, after.params)[part]
        assert max(jax.tree.leaves(moved)) > 0
    sizes = {part: _size(tree) for part, tree in after.params.items()}
    trained = sum(sizes.values()) - sizes["encoder"]
    moments = [leaf for leaf in jax.tree.leaves(after.opt_state) if leaf.ndim]
    assert sum(leaf.size for leaf in moments) == 2 * trained
    assert sizes["lora"] < sizes["encoder"] / 4
    assert f"LoRA trains {trained / 1e6:.2f} M of {sum(sizes.values()) / 1e6:.2f} M" in caplog.text


def _size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_an_untrained_adapter_predicts_what_the_encoder_does(waves_root, pretrained, tmp_path):
    runs = {
        name: build(waves_root, tmp_path / name, init_from=str(pretrained), **changes)
        for name, changes in (("plain", {}), ("lora", LORA))
    }
    states = {name: run.trainable.start(jax.random.key(0), run.trainable.mesh)
              for name, run in runs.items()}  # fmt: skip
    params = runs["lora"].trainable.spec.final_params(states["lora"].params)
    assert_same(params, states["plain"].params)


def test_the_saved_model_has_the_adapters_in_its_kernels(
    waves_root, pretrained, tmp_path, monkeypatch
):
    monkeypatch.setattr(atomic_files, "write_figure", lambda path, figure: None)
    changes = {"auxiliary.task": "flags", "head_only_steps": 5, **LORA}
    run = build(waves_root, tmp_path / "run", init_from=str(pretrained), **changes)
    evaluation = finetune(run)
    assert evaluation.by_class[0].metrics["auroc"].value > 0.9
    trainable = run.trainable
    kept, _ = load_best(
        tmp_path / "run", trainable.spec.model, trainable.window_shape, trainable.mesh
    )
    assert set(kept) == {"encoder", "head", "output"}
    kernel = kept["encoder"]["stack"]["blocks"]["mlp"]["expand"]["kernel"]
    trained = run.trainable.encoder.params["stack"]["blocks"]["mlp"]["expand"]["kernel"]
    difference = np.asarray(kernel - trained)[0]
    ranks = np.linalg.svd(difference, compute_uv=False)
    assert ranks[1] > 1e-4
    np.testing.assert_allclose(ranks[2:], 0, atol=1e-5)
    again = evaluate_run(
        build_evaluation(typed(head_config(tmp_path / "run")), tmp_path / "again", strict=True)
    )
    assert again.overall["macro_auroc"].value == pytest.approx(
        evaluation.overall["macro_auroc"].value, abs=1e-6
    )


def test_adapters_follow_the_rates_of_their_layers(waves_root, pretrained, tmp_path):
    changes = {"layer_decay": 0.5, "encoder_lr_scale": 0.1, **LORA}
    run = build(waves_root, tmp_path, init_from=str(pretrained), **changes)
    shapes = jax.eval_shape(run.trainable.init_state, jax.random.key(0)).params
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    gradient = jax.tree.map(jnp.ones_like, zeros) | {"encoder": zeros["encoder"]}
    optimizer = run.trainable.spec.optimizer

    @jax.jit
    def second_update():
        _, state = optimizer.update(gradient, optimizer.init(zeros), zeros)
        return optimizer.update(gradient, state, zeros)[0]

    updates, full = second_update(), run.trainable.spec.learning_rate(1)
    for part, rate in (("encoder", 0.0), ("lora", 0.05), ("output", 1.0)):
        for leaf in jax.tree.leaves(updates[part]):
            np.testing.assert_allclose(leaf, -rate * full, rtol=1e-3)


WRONG = [
    ({}, r"lora\.rank=2 trains adapters of a pre-trained encoder"),
    ({"init_from": "", "frozen_blocks": 0}, r"there is none; name one with init_from"),
    ({"frozen_blocks": 0}, r"Set frozen_blocks=-1 or lora\.rank=0"),
    ({"lora.rank": 32}, r"must be below the width of the encoder, 32"),
    ({"lora.rank": -1}, r"lora\.rank is -1"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_settings_that_adapters_contradict_are_named(
    waves_root, pretrained, tmp_path, changes, message
):
    start = {"init_from": str(pretrained)} if changes else {}
    with pytest.raises(ConfigError, match=message):
        build(waves_root, tmp_path, **{**start, **LORA, **changes})
