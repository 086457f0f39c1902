"""Alignment of modalities recorded together: symmetric InfoNCE over the global batch.

A window of two modalities, say PPG and ECG, becomes two single-channel examples. The embedding of
one modality should be nearer to that of the same window's other modality than to that of any
other window (models.md#contrastive-loss).
"""

import dataclasses

import jax
import jax.numpy as jnp

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES, Windows
from physio_mae_jax.objectives.aligned_contrast import (
    aligned_info_nce,
    cross_entropy,
    rotation_steps,
)
from physio_mae_jax.objectives.cross_modal import NUM_MODALITIES, cross_modal_loss
from physio_mae_jax.objectives.masking import Mask
from physio_mae_jax.objectives.pretraining import (
    Batch,
    MaskedModel,
    ObjectiveConfig,
    forward,
    reconstruction_loss,
)
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.signals.lagged_similarity import lag_steps
from physio_mae_jax.types import Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """Contrastive alignment of modalities.

    Attributes:
        weight: Weight of the contrastive loss relative to reconstruction; 0 disables it.
        view: Embedded view: 'masked', which reconstruction encodes anyway, or the 'whole' example,
            which costs a second pass over four times the tokens.
        same_subject_negatives: True counts other windows of the same subject as negatives, as the
            original does, although they may look alike (models.md#contrastive-loss).
        temperature, temperature_is_learned, projection_width: See ``models.contrastive``.
        readout: 'pooled', one vector for a window; or 'aligned', one for each time step, compared
            at the best lag. Requires the 'whole' view, since masks differ between modalities.
        column_steps, step_width: Time steps per column, and numbers per step.
        lag_seconds: (shortest, longest) lag of the first channel after the second, in seconds.
        pooled_weight: Weight of the pooled loss relative to the aligned one.
        rotated_negatives: Further negatives of an aligned readout: rotations of the own partner in
            time, by at least a second.
        cross_modal_weight: Weight of the reconstruction of one channel, hidden entirely, from the
            other (``objectives.cross_modal``); 0 disables it. A third pass of the encoder.
    """

    weight: float = 0.0
    view: str = "masked"
    same_subject_negatives: bool = False
    temperature: float = 0.07
    temperature_is_learned: bool = False
    projection_width: int = 256
    readout: str = "pooled"
    column_steps: int = 4
    step_width: int = 16
    lag_seconds: tuple[float, float] = (0.08, 0.7)
    pooled_weight: float = 0.3
    rotated_negatives: int = 8
    cross_modal_weight: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "contrastive")

    @property
    def is_aligned(self) -> bool:
        """Whether time steps are compared at the best lag."""
        return self.weight > 0 and self.readout == "aligned"

    @property
    def channels_together(self) -> int:
        """Number of channels that the model is initialized with: 1 if it never sees two at once."""
        return 1 if self.weight and not self.cross_modal_weight else NUM_MODALITIES

    def step_seconds(self, model: MaeConfig) -> float:
        """Return the length of a time step of an aligned readout."""
        return model.patch_samples / model.sampling_rate_hz / self.column_steps

    def lags(self, model: MaeConfig) -> tuple[int, ...]:
        """Return the lags of an aligned readout, in time steps."""
        return lag_steps(self.lag_seconds, self.step_seconds(model))

    def rotations(self, model: MaeConfig) -> tuple[int, ...]:
        """Return the rotations of ``rotated_negatives``, in time steps."""
        num_steps = model.num_columns * self.column_steps
        return rotation_steps(self.rotated_negatives, num_steps, self.step_seconds(model))

    def check_against(self, model: MaeConfig) -> None:
        """Raise a ConfigError if an aligned readout is incompatible with the model."""
        if not self.is_aligned:
            return
        if self.view != "whole":
            raise ConfigError(
                "contrastive.readout='aligned' compares the same time steps of both channels, but "
                f"contrastive.view={self.view!r} has other columns of each; set contrastive.view "
                "to 'whole', or contrastive.readout to 'pooled'."
            )
        seconds = model.num_samples / model.sampling_rate_hz
        needed = 2 + max(map(abs, self.lag_seconds))
        if seconds < needed:
            raise ConfigError(
                f"contrastive.readout='aligned' needs windows of {needed:g} s or more with "
                f"contrastive.lag_seconds={self.lag_seconds}; got {seconds:g} s. Lengthen "
                "window_seconds, or set contrastive.readout to 'pooled'."
            )


def split_modalities(batch: Batch) -> Batch:
    """Split each window [M, L] into M single-channel examples, adjacent in the batch.

    Every batch entry with a leading window axis is repeated, so that example i · M + m is channel m
    of window i. Adjacent examples stay on the same device.
    """
    windows, channels = batch["channel_mask"].shape
    split = {}
    for name, values in batch.items():
        per_channel = name in CHANNEL_ENTRIES
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
    """Return the losses of ``pretraining_loss`` and the contrastive loss.

    Args:
        model: A ``ContrastiveAutoencoder``.
        objective: Config of the reconstruction loss.
        contrastive: Config of the contrastive loss.
        params: Model parameters.
        batch: Batch from ``split_modalities``, with 'subject' [2B] int.
        mask: Mask of all 2B examples.

    Returns:
        Scalar loss; the parts of ``pretraining_loss`` and 'contrastive_loss',
        'contrastive_accuracy'; 'cross_modal_loss' if it has a weight.
    """
    result = forward(model, objective, params, batch, mask)
    loss, parts = reconstruction_loss(model.config, objective, result)
    present = batch["channel_mask"].reshape(-1, NUM_MODALITIES).all(axis=1)
    subjects = batch["subject"][::NUM_MODALITIES]
    negatives = allowed_negatives(subjects, present, contrastive.same_subject_negatives)
    if contrastive.is_aligned:
        both = model.apply({"params": params}, Windows.of(batch), method="embed_steps")
        alignment, accuracy = aligned_info_nce(
            *_by_modality(both.steps),
            negatives,
            present,
            contrastive.lags(model.config),
            contrastive.rotations(model.config),
        )
        pooled, _ = info_nce(*_by_modality(both.pooled), negatives, present)
        alignment = alignment + contrastive.pooled_weight * pooled
    else:
        embedding = result.predicted.embedding
        if contrastive.view == "whole":
            embedding = model.apply({"params": params}, Windows.of(batch), method="embed")
        assert embedding is not None  # the model is a ``ContrastiveAutoencoder``
        alignment, accuracy = info_nce(*_by_modality(embedding), negatives, present)
    loss = loss + contrastive.weight * alignment
    parts |= {"contrastive_loss": alignment, "contrastive_accuracy": accuracy}
    if contrastive.cross_modal_weight:
        cross = cross_modal_loss(model, objective, params, batch, mask)
        loss = loss + contrastive.cross_modal_weight * cross
        parts["cross_modal_loss"] = cross
    return loss, parts | {"loss": loss}


def _by_modality(embedding: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Divide embeddings of all examples [2B, …] into those of each modality, [B, …]."""
    pairs = embedding.reshape(-1, NUM_MODALITIES, *embedding.shape[1:])
    return pairs[:, 0], pairs[:, 1]


def allowed_negatives(subjects: jax.Array, present: jax.Array, same_subject: bool) -> jax.Array:
    """Return which pairs (i, j) of windows are negatives: [B, B] bool.

    Args:
        subjects: [B] int, subject ids.
        present: [B] bool, False where a window lacks a modality.
        same_subject: Whether two windows of one subject may be negatives.
    """
    different = ~jnp.eye(len(subjects), dtype=bool) & present[None, :] & present[:, None]
    return different if same_subject else different & (subjects[:, None] != subjects[None, :])


def info_nce(
    first: jax.Array, second: jax.Array, negatives: jax.Array, present: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Symmetric InfoNCE loss between both modalities (van den Oord et al. 2018).

    Under jit over a mesh the batch is the global one: every window of every device is a
    candidate, and the compiler inserts the required gathers.

    Args:
        first, second: [B, E], whose inner products are logits.
        negatives: [B, B] bool, symmetric, True for negative pairs.
        present: [B] bool, True for valid windows.

    Returns:
        Scalar loss, mean of both directions; top-1 retrieval accuracy, likewise.
    """
    # Positives are computed separately: as a diagonal of the logits they would be gathered from
    # all devices.
    right = (first * second).sum(axis=1)
    logits = [
        jnp.matmul(asked, answers.T, precision=jax.lax.Precision.HIGHEST)
        for asked, answers in ((first, second), (second, first))
    ]
    return cross_entropy(right, logits, negatives, present)
