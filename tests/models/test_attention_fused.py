"""Fused attention agrees with XLA's in every version, for one channel, two and twelve.

Needs an NVIDIA GPU: ``JAX_PLATFORMS=cuda python -m pytest tests/models/test_attention_fused.py``.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.pretrain import get_config
from physio_mae_jax.experiment.model_section import ModelSection
from physio_mae_jax.experiment.typed_config import to_dataclass
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.objectives.pretraining import ObjectiveConfig, forward, pretraining_loss
from tests.factories import drawn_mask, initial_params, random_batch

VERSIONS = ("v1", "v2", "v3", "v1_upstream", "v2_upstream", "v3_upstream")


def outcome(version, channels, implementation, dtype, depth=2):
    """Return predictions and the gradient of the loss, as two flat float32 vectors."""
    config = get_config(f"preset=debug,variant={version}")
    config.model.update({"width": 128, "num_heads": 2, "decoder_width": 64, "depth": depth})
    config.model.update({"attention_implementation": implementation, "compute_dtype": dtype})
    model = MaskedAutoencoder(
        ModelSection.from_section("model", config.model).for_window(6.0, 100.0)
    )
    objective = to_dataclass(ObjectiveConfig, "objective", config.objective)
    batch = random_batch(4, channels, model.config.num_samples)
    if channels > 1:
        batch["channel_mask"] = batch["channel_mask"].at[0, 1].set(False)
    mask = drawn_mask(model, objective.mask, 4, channels)
    plain = dataclasses.replace(
        model.config, attention_implementation="xla", compute_dtype="float32"
    )
    params = initial_params(MaskedAutoencoder(plain), objective.mask)

    # Batch and mask are arguments, or XLA would fold the whole transform at compile time.
    @jax.jit
    def both(params, batch, mask):
        predicted = forward(model, objective, params, batch, mask).predicted
        gradient = jax.grad(lambda p: pretraining_loss(model, objective, p, batch, mask)[0])(params)
        return (predicted.patches, predicted.waveform), gradient

    return [
        np.concatenate([np.asarray(leaf, np.float32).ravel() for leaf in jax.tree.leaves(tree)])
        for tree in both(params, batch, mask)
    ]


def relative(ours, reference):
    return np.linalg.norm(ours - reference) / np.linalg.norm(reference)


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("channels", [1, 2, 12])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("implementation", ["cudnn", "fused"])
# JAX 0.11 announces another compiler for such kernels.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fused_attention_agrees_with_xla_to_rounding(implementation, version, channels):
    exact = outcome(version, channels, "xla", "float32")
    plain = outcome(version, channels, "xla", "bfloat16")
    fused = outcome(version, channels, implementation, "bfloat16")
    errors = {
        "fused - plain": [relative(f, p) for f, p in zip(fused, plain, strict=True)],
        "fused - float32": [relative(f, e) for f, e in zip(fused, exact, strict=True)],
        "plain - float32": [relative(p, e) for p, e in zip(plain, exact, strict=True)],
    }
    print(
        implementation,
        version,
        channels,
        {name: [f"{e:.4f}" for e in pair] for name, pair in errors.items()},
    )
    assert errors["fused - plain"][0] < 1e-2
    for fused_error, plain_error in zip(
        errors["fused - float32"], errors["plain - float32"], strict=True
    ):
        assert fused_error < 1.3 * plain_error + 2e-3
    cosine = fused[1] @ plain[1] / np.linalg.norm(fused[1]) / np.linalg.norm(plain[1])
    assert cosine > 0.999


def test_the_outcome_that_is_compared_depends_on_the_weights():
    """Guards the comparison itself, where there is no GPU to make it."""
    predicted, gradient = outcome("v3", 2, "xla", "float32")
    assert np.isfinite(predicted).all()
    assert np.abs(gradient).max() > 0
    assert jnp.size(gradient) > 10_000
