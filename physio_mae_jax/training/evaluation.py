"""Validation errors and the arrays of a reconstruction plot."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from physio_mae_jax.objectives.masking import Mask
from physio_mae_jax.objectives.pretraining import (
    Batch,
    MaskedModel,
    ObjectiveConfig,
    forward,
    predicting_all,
    reconstruction_target,
)
from physio_mae_jax.signals.patches import join_patches
from physio_mae_jax.training.pretrain_step import Metrics, PretrainSpec
from physio_mae_jax.training.sharding import shard_batch
from physio_mae_jax.types import Arrays, Params

# Validation masks are the same in every evaluation and run, so that metrics are comparable.
_EVALUATION_SEED = 20_240

EvaluationStep = Callable[[Params, Batch, jax.Array], Metrics]


def evaluate(
    step: EvaluationStep, params: Params, batches: Sequence[Arrays], mesh: Mesh
) -> dict[str, float]:
    """Average the errors of ``objectives.pretraining.validation_errors`` over validation windows.

    Also returns '<domain>/explained', the fraction of the mean baseline's error that the model
    removes.
    """
    totals: dict[str, float] = {}
    for number, batch in enumerate(batches):
        key = jax.random.fold_in(jax.random.key(_EVALUATION_SEED), number)
        for name, value in jax.device_get(step(params, shard_batch(batch, mesh), key)).items():
            totals[name] = totals.get(name, 0.0) + float(value)
    weight = totals.pop("weight")
    errors = {name: total / weight for name, total in totals.items()}
    for domain in ("waveform", "scalogram"):
        errors[f"{domain}/explained"] = 1 - errors[f"{domain}/model"] / errors[f"{domain}/mean"]
    return errors


def reconstruct(spec: PretrainSpec, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """Reconstruct the windows of a batch for a figure, with the masks of evaluations.

    Returns:
        Arrays as returned by ``reconstruct_masked``.
    """
    windows = batch["signal"].shape[0]
    examples = spec.examples(batch)
    per_window = examples["signal"].shape[0] // windows
    # All examples of a window share one mask.
    mask = spec.mask(jax.random.key(_EVALUATION_SEED), first_examples(examples, windows))
    mask = jax.tree.map(lambda values: jnp.repeat(values, per_window, axis=0), mask)
    shape = windows, batch["signal"].shape[1]
    return reconstruct_masked(spec.model, spec.objective, params, examples, mask, shape)


def reconstruct_masked(
    model: MaskedModel,
    objective: ObjectiveConfig,
    params: Params,
    examples: Batch,
    mask: Mask,
    shape: tuple[int, int],
) -> dict[str, jax.Array]:
    """Reconstruct masked columns, as the arrays of a figure.

    Args:
        model: Masked autoencoder.
        objective: Objective, which determines the encoder's input at masked columns.
        params: Parameters of the model.
        examples: Entries 'signal', 'channel_mask' and 'channel_ids' of B windows, or of their M
            channels separately.
        mask: Mask of the examples.
        shape: Numbers of windows and channels (B, M).

    Returns:
        'signal' and 'predicted' [B, M, L] (predicted: NaN on visible columns), 'masked' [B, W],
        'scalogram', 'visible_scalogram' and 'predicted_scalogram' [B, M, S, L], the plane of the
        signal itself; in the last one, masked columns are replaced by predictions.
    """
    cfg = model.config
    mask = predicting_all(mask, cfg)
    result = forward(model, objective, params, examples, mask)
    truth = reconstruction_target(cfg, examples["signal"], None)
    visible = reconstruction_target(cfg, result.visible_signal, None)

    def by_window(values: jax.Array) -> jax.Array:
        return values.reshape(*shape, *values.shape[2:])

    def plane(patches: jax.Array) -> jax.Array:
        return by_window(join_patches(patches, cfg.wavelet.num_planes, cfg.patch_scales)[:, :, 0])

    masked = result.token_weight[..., None] > 0
    drawn = result.column_weight[..., None] > 0
    waveform = jnp.where(drawn, result.predicted.waveform, jnp.nan)
    per_window = mask.masked_columns.shape[0] // shape[0]
    return {
        "signal": by_window(examples["signal"]),
        "predicted": waveform.reshape(*shape, cfg.num_samples),
        "masked": mask.masked_columns[::per_window],
        "scalogram": plane(truth.patches),
        "visible_scalogram": plane(visible.patches),
        "predicted_scalogram": plane(jnp.where(masked, result.predicted.patches, truth.patches)),
    }


def first_examples(batch: Batch, count: int) -> Batch:
    """Return the first examples of a batch."""
    return {name: values[:count] for name, values in batch.items()}
