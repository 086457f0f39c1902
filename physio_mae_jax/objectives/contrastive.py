"""Alignment of modalities recorded together: symmetric InfoNCE over the global batch.

A window of two modalities, say PPG and ECG, becomes two examples of one channel. What a window
makes of one should be nearer to what it makes of the other than to any other window's
(models.md#contrastive-loss).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from physio_mae_jax.objectives.masking import Mask
from physio_mae_jax.objectives.pretraining import (
    Batch,
    MaskedModel,
    ObjectiveConfig,
    Params,
    forward,
    reconstruction_loss,
)
from physio_mae_jax.setting_ranges import check_fields

NUM_MODALITIES = 2
_EXCLUDED = -1e9  # a logit that counts for nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """How modalities are aligned.

    Attributes:
        weight: of the contrastive loss against that of reconstruction; 0 trains without it.
        view: what is embedded: the 'masked' view that reconstruction encodes anyway, or, at the
            price of a second pass over four times the tokens, the 'whole' example.
        same_subject_negatives: True counts other windows of the same subject as different, as the
            original does; they may well look alike (models.md#contrastive-loss).
        temperature, temperature_is_learned, projection_width: of ``models.contrastive``.
    """

    weight: float = 0.0
    view: str = "masked"
    same_subject_negatives: bool = False
    temperature: float = 0.07
    temperature_is_learned: bool = False
    projection_width: int = 256

    def __post_init__(self) -> None:
        check_fields(self, "contrastive")


def split_modalities(batch: Batch) -> Batch:
    """Make of each window [M, L] M examples of one channel, beside each other in the batch.

    Every entry of a batch with a leading axis of windows is repeated, so that example
    i · M + m is channel m of window i. Beside each other they stay on the same device.
    """
    windows, channels = batch["channel_mask"].shape
    split = {}
    for name, values in batch.items():
        per_channel = name in ("signal", "channel_mask", "channel_ids")
        rest = values.shape[2:] if per_channel else values.shape[1:]
        if per_channel:
            split[name] = values.reshape(windows * channels, 1, *rest)
        else:
            split[name] = jnp.repeat(values, channels, axis=0)
    return split


def contrastive_pretraining_loss(
    model: MaskedModel,
    objective: ObjectiveConfig,
    contrastive: ContrastiveConfig,
    params: Params,
    batch: Batch,
    mask: Mask,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the losses of ``pretraining_loss`` and the contrastive one.

    Args:
        model: a ``ContrastiveAutoencoder``.
        objective: of the reconstruction.
        contrastive: of the alignment.
        params: of the model.
        batch: from ``split_modalities``, with 'subject' [2B] int.
        mask: of all 2B examples.

    Returns:
        Scalar loss; the parts of ``pretraining_loss`` and 'contrastive_loss',
        'contrastive_accuracy'.
    """
    result = forward(model, objective, params, batch, mask)
    loss, parts = reconstruction_loss(model.config, objective, result)
    embedding: Any = result.predicted.embedding
    if contrastive.view == "whole":
        embedding = model.apply(
            {"params": params},
            batch["signal"],
            batch["channel_mask"],
            batch["channel_ids"],
            method="embed",
        )
    pairs = embedding.reshape(-1, NUM_MODALITIES, embedding.shape[-1])
    present = batch["channel_mask"].reshape(-1, NUM_MODALITIES).all(axis=1)
    subjects = batch["subject"][::NUM_MODALITIES]
    negatives = allowed_negatives(subjects, present, contrastive.same_subject_negatives)
    alignment, accuracy = info_nce(pairs[:, 0], pairs[:, 1], negatives, present)
    loss = loss + contrastive.weight * alignment
    parts |= {"loss": loss, "contrastive_loss": alignment, "contrastive_accuracy": accuracy}
    return loss, parts


def allowed_negatives(subjects: jax.Array, present: jax.Array, same_subject: bool) -> jax.Array:
    """Say which pairs (i, j) of windows count as different: [B, B] bool.

    Args:
        subjects: [B] int.
        present: [B] bool, False where a window lacks a modality.
        same_subject: True lets two windows of one subject count.
    """
    different = ~jnp.eye(len(subjects), dtype=bool) & present[None, :] & present[:, None]
    return different if same_subject else different & (subjects[:, None] != subjects[None, :])


def info_nce(
    first: jax.Array, second: jax.Array, negatives: jax.Array, present: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Cross entropy of finding each window's other modality, both ways (van den Oord et al. 2018).

    Under jit over a mesh the batch is the global one: every window of every device is a
    candidate, and the compiler gathers what that needs.

    Args:
        first, second: [B, E], inner products are logits.
        negatives: [B, B] bool, symmetric, the pairs that count as different.
        present: [B] bool, windows that count.

    Returns:
        Scalar loss, mean of both directions; share of windows found first, likewise.
    """
    # The right answers apart: as a diagonal of the logits they would be gathered from all devices.
    right = (first * second).sum(axis=1)
    weight = present / jnp.maximum(present.sum(), 1)
    losses, found = [], []
    for asked, answers in ((first, second), (second, first)):
        logits = jnp.matmul(asked, answers.T, precision=jax.lax.Precision.HIGHEST)
        wrong = jnp.where(negatives, logits, _EXCLUDED)
        total = jnp.logaddexp(right, jax.nn.logsumexp(wrong, axis=1))
        losses.append(((total - right) * weight).sum())
        found.append(((right >= wrong.max(axis=1)) * weight).sum())
    return (losses[0] + losses[1]) / 2, (found[0] + found[1]) / 2
