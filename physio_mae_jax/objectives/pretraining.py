"""Masked reconstruction in both domains: from a batch and a mask to a loss (spec.md §§6-7)."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.mae import MaskedAutoencoder, Reconstruction
from physio_mae_jax.objectives.losses import (
    pixel_weights,
    scale_weights,
    scalogram_error,
    waveform_error,
)
from physio_mae_jax.objectives.masking import ColumnMask, num_visible_columns, tubelet_mask
from physio_mae_jax.signals import patches, wavelet

Params = Any  # a nested dict of arrays, as linen makes it
Batch = dict[str, jax.Array]  # see data.pipeline for its entries


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is hidden and how errors are weighed.

    Attributes:
        mask_ratio: share of the time columns hidden.
        mask_before_wavelet: True computes the encoder's scalogram from the signal with its hidden
            columns bridged by straight lines, so that no wavelet reaches into what is hidden.
            False transforms the whole signal, as the original does; coarse wavelets then show
            the encoder up to 13 hidden columns (defect D9).
        waveform_weight: of the time-domain loss against the scalogram loss.
        plane_weights: of signal, first and second difference; as many as the wavelet has planes.
        band_hz, band_edge_octaves, band_floor, scale_tilt: see ``losses.scale_weights``.
    """

    mask_ratio: float = 0.75
    mask_before_wavelet: bool = True
    waveform_weight: float = 1.0
    plane_weights: tuple[float, ...] = (1.0, 0.5, 0.1)
    band_hz: tuple[float, float] = (0.5, 50.0)
    band_edge_octaves: float = 1.0
    band_floor: float = 0.1
    scale_tilt: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.mask_ratio < 1:
            raise ConfigError(
                f"objective.mask_ratio is {self.mask_ratio}; it must lie between 0 and 1."
            )
        if not 0 < self.band_hz[0] < self.band_hz[1]:
            raise ConfigError(
                f"objective.band_hz is {self.band_hz}; it must be (low, high) with 0 < low < high."
            )
        if self.band_edge_octaves <= 0 or not 0 <= self.band_floor <= 1:
            raise ConfigError(
                f"objective.band_edge_octaves={self.band_edge_octaves} must be above 0 and "
                f"objective.band_floor={self.band_floor} in [0, 1]."
            )

    def check_against(self, model: MaeConfig) -> None:
        """Raise a ConfigError where this objective does not fit the model's shape."""
        num_visible = num_visible_columns(model.num_columns, self.mask_ratio)
        if not 1 <= num_visible < model.num_columns:
            raise ConfigError(
                f"objective.mask_ratio={self.mask_ratio} leaves {num_visible} of "
                f"{model.num_columns} columns visible; at least one must be visible and one "
                "hidden. Change it, or make columns shorter (model.patch_samples)."
            )
        if len(self.plane_weights) != model.wavelet.num_planes:
            raise ConfigError(
                f"objective.plane_weights has {len(self.plane_weights)} entries, but "
                f"model.wavelet.difference_planes={model.wavelet.difference_planes} gives "
                f"{model.wavelet.num_planes} planes."
            )


class Forward(NamedTuple):
    """Prediction and truth of the hidden columns, in the units of the losses."""

    predicted: Reconstruction
    target: Reconstruction
    seen_signal: jax.Array  # [B, M, L] what the encoder's wavelets saw


@functools.lru_cache(maxsize=8)
def loss_pixel_weights(model: MaeConfig, objective: ObjectiveConfig) -> np.ndarray:
    """Return the weights [H, C · pf · pt] of the scalogram loss."""
    bank = wavelet.wavelet_bank(model.wavelet, model.sampling_rate_hz, model.num_samples)
    weights = scale_weights(
        bank.frequencies_hz,
        band_hz=objective.band_hz,
        edge_octaves=objective.band_edge_octaves,
        floor=objective.band_floor,
        tilt=objective.scale_tilt,
    )
    planes = np.asarray(objective.plane_weights, np.float32)
    return pixel_weights(weights, planes, model.patch_scales, model.patch_samples)


def draw_mask(
    key: jax.Array, batch: int, model: MaeConfig, objective: ObjectiveConfig
) -> ColumnMask:
    """Draw the hidden columns of a batch."""
    return tubelet_mask(key, batch, model.num_columns, objective.mask_ratio)


def forward(
    model: MaskedAutoencoder,
    objective: ObjectiveConfig,
    params: Params,
    batch: Batch,
    mask: ColumnMask,
) -> Forward:
    """Predict the hidden columns of a batch and cut out their truth."""
    cfg = model.config
    signal = jnp.where(batch["channel_mask"][:, :, None], batch["signal"], 0.0)
    seen = signal
    if objective.mask_before_wavelet:
        seen = patches.fill_hidden_columns(signal, mask.hidden, cfg.patch_samples)
    predicted: Any = model.apply(
        {"params": params},
        seen,
        batch["channel_mask"],
        batch["channel_ids"],
        mask.visible_ids,
        mask.hidden_ids,
    )
    return Forward(predicted, reconstruction_target(cfg, signal, mask.hidden_ids), seen)


def reconstruction_target(
    cfg: MaeConfig, signal: jax.Array, column_ids: jax.Array
) -> Reconstruction:
    """Cut the truth of columns [B, P] from z-scored signals [B, M, L]."""
    scalogram = wavelet.scalogram(signal, cfg.wavelet, cfg.sampling_rate_hz)
    boxes = patches.scalogram_patches(scalogram, cfg.patch_scales, cfg.patch_samples, column_ids)
    columns = patches.signal_columns(signal, cfg.patch_samples)
    return Reconstruction(boxes, patches.take_columns(columns, column_ids, axis=2))


def pretraining_loss(
    model: MaskedAutoencoder,
    objective: ObjectiveConfig,
    params: Params,
    batch: Batch,
    mask: ColumnMask,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the loss of a batch and its two parts.

    Args:
        model: the autoencoder.
        objective: weights.
        params: of the model.
        batch: 'signal' [B, M, L] z-scored, 'channel_mask' [B, M], 'channel_ids' [B, M].
        mask: hidden columns.

    Returns:
        Scalar loss; {'loss', 'scalogram_loss', 'waveform_loss'} scalars.
    """
    result = forward(model, objective, params, batch, mask)
    weights = jnp.asarray(loss_pixel_weights(model.config, objective))
    present = batch["channel_mask"]
    scalogram_loss = scalogram_error(
        result.predicted.patches, result.target.patches, weights, present
    ).mean()
    waveform_loss = waveform_error(
        result.predicted.waveform, result.target.waveform, present
    ).mean()
    loss = scalogram_loss + objective.waveform_weight * waveform_loss
    parts = {"loss": loss, "scalogram_loss": scalogram_loss, "waveform_loss": waveform_loss}
    return loss, parts


def held_out_errors(
    model: MaskedAutoencoder,
    objective: ObjectiveConfig,
    params: Params,
    batch: Batch,
    mask: ColumnMask,
) -> dict[str, jax.Array]:
    """Compare the model with two honest baselines on the hidden columns, per example.

    The baselines are the mean of what is visible, and straight lines between visible samples.
    Both are also transformed to scalograms and brought to the target's units.

    Returns:
        {'<domain>/<model|mean|line>': [B]} weighted squared errors, domain 'waveform' or
        'scalogram', in the units of the losses.
    """
    cfg = model.config
    result = forward(model, objective, params, batch, mask)
    signal = jnp.where(batch["channel_mask"][:, :, None], batch["signal"], 0.0)
    line = patches.fill_hidden_columns(signal, mask.hidden, cfg.patch_samples)
    columns = patches.signal_columns(signal, cfg.patch_samples)
    visible = patches.take_columns(columns, mask.visible_ids, axis=2)
    mean = jnp.broadcast_to(visible.mean(axis=(2, 3))[..., None], signal.shape)
    statistics = wavelet.plane_statistics(
        wavelet.coefficients(signal, cfg.wavelet, cfg.sampling_rate_hz)
    )
    guesses = {"model": result.predicted}
    for name, baseline in (("mean", mean), ("line", line)):
        planes = wavelet.coefficients(baseline, cfg.wavelet, cfg.sampling_rate_hz)
        planes = wavelet.normalise_planes(planes, statistics)
        guesses[name] = Reconstruction(
            patches.scalogram_patches(planes, cfg.patch_scales, cfg.patch_samples, mask.hidden_ids),
            patches.take_columns(
                patches.signal_columns(baseline, cfg.patch_samples), mask.hidden_ids, axis=2
            ),
        )
    weights = jnp.asarray(loss_pixel_weights(cfg, objective))
    present = batch["channel_mask"]
    errors = {}
    for name, guess in guesses.items():
        errors[f"waveform/{name}"] = waveform_error(guess.waveform, result.target.waveform, present)
        errors[f"scalogram/{name}"] = scalogram_error(
            guess.patches, result.target.patches, weights, present
        )
    return errors
