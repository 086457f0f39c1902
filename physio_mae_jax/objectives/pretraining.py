"""Masked reconstruction in both domains: from a batch and a mask to a loss (models.md#losses)."""

import dataclasses
import functools
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.decoder import Reconstruction
from physio_mae_jax.models.tokenizer import normalize_samples
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.losses import (
    pixel_weights,
    scale_weights,
    scalogram_error,
    waveform_error,
)
from physio_mae_jax.objectives.masking import Mask, MaskConfig
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.signals import patches, wavelet
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.types import FlaxModel, Params

Batch = dict[str, jax.Array]  # see data.pipeline for its entries


class MaskedModel(FlaxModel, Protocol):
    """Interface of ``MaskedAutoencoder`` and of models that wrap one."""

    @property
    def config(self) -> MaeConfig:
        """Return the config of the autoencoder."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Mask and weights of the reconstruction loss.

    Attributes:
        mask: Choice of the mask.
        mask_before_wavelet: True computes the encoder's scalogram from the signal with its masked
            columns linearly interpolated, so that no wavelet reaches into masked samples.
            False transforms the whole signal, as the original does; coarse wavelets then leak
            up to 13 masked columns to the encoder (models.md#masks).
        waveform_weight: Weight of the time-domain loss relative to the scalogram loss; 0 for none.
        waveform_columns: Columns of the time-domain loss: 'masked', those more than half masked,
            or 'all'.
        predicted_share: Share of the masked columns that a training step predicts, drawn anew in
            each step (Wang et al. 2023, VideoMAE V2). The decoder omits the others, which
            makes a step cheaper. Evaluation predicts all.
        plane_weights: Weights of signal, first and second difference, one per wavelet plane.
        band_hz, band_edge_octaves, band_floor, scale_tilt: See ``losses.scale_weights``; a floor
            of 1 and a tilt of 0 weight all scales equally.
        latent_weight: Weight of ``latent_targets.latent_loss``; 0 for none.
        teacher_decay: Decay of the moving average of the encoder that gives its targets.
    """

    mask: MaskConfig = dataclasses.field(default_factory=MaskConfig)
    mask_before_wavelet: bool = True
    waveform_weight: float = 1.0
    waveform_columns: str = "masked"
    predicted_share: float = 1.0
    plane_weights: tuple[float, ...] = (1.0, 0.5, 0.1)
    band_hz: tuple[float, float] = (0.5, 50.0)
    band_edge_octaves: float = 1.0
    band_floor: float = 0.1
    scale_tilt: float = 0.5
    latent_weight: float = 0.0
    teacher_decay: float = 0.999

    def __post_init__(self) -> None:
        check_fields(self, "objective")

    def check_against(self, model: MaeConfig) -> None:
        """Raise a ConfigError if this objective is incompatible with the model."""
        self.mask.check_against(model)
        if self.predicted_share < 1.0:
            self._check_predicted_share(model)
        if len(self.plane_weights) != model.wavelet.num_planes:
            raise ConfigError(
                f"objective.plane_weights has {len(self.plane_weights)} entries, but "
                f"model.wavelet.difference_planes={model.wavelet.difference_planes} gives "
                f"{model.wavelet.num_planes} planes."
            )

    def _check_predicted_share(self, model: MaeConfig) -> None:
        needs = {
            "objective.mask.kind": (self.mask.kind, "tube"),
            "objective.waveform_columns": (self.waveform_columns, "masked"),
            "model.encoder_attention": (model.encoder_attention, "factorized"),
            "model.decoder_attention": (model.decoder_attention, "factorized"),
        }
        for name, (value, needed) in needs.items():
            if value != needed:
                raise ConfigError(
                    f"objective.predicted_share={self.predicted_share} omits whole columns from "
                    f"the decoder, which {name}={value!r} does not allow; set it to {needed!r}, or "
                    "objective.predicted_share to 1."
                )


class Forward(NamedTuple):
    """Prediction and target of P columns, in the units of the losses, and their weights."""

    predicted: Reconstruction
    target: Reconstruction
    token_weight: jax.Array  # [B, M, P, H]
    column_weight: jax.Array  # [B, M, P]
    predicted_ids: jax.Array | None  # [B, P] the columns; None for all
    visible_signal: jax.Array  # [B, M, L] input of the encoder's wavelets


@functools.lru_cache(maxsize=8)
def loss_pixel_weights(model: MaeConfig, objective: ObjectiveConfig) -> np.ndarray:
    """Return the weights [H, C · pf · pt] of the scalogram loss."""
    bank = wavelet_bank(model.wavelet, model.sampling_rate_hz, model.num_samples)
    weights = scale_weights(
        bank.frequencies_hz,
        band_hz=objective.band_hz,
        edge_octaves=objective.band_edge_octaves,
        floor=objective.band_floor,
        tilt=objective.scale_tilt,
    )
    planes = np.asarray(objective.plane_weights, np.float32)
    return pixel_weights(weights, planes, model.patch_scales, model.patch_samples)


def forward(
    model: MaskedModel, objective: ObjectiveConfig, params: Params, batch: Batch, mask: Mask
) -> Forward:
    """Predict the masked columns of a batch and extract their targets."""
    cfg = model.config
    present = batch["channel_mask"]
    signal = jnp.where(present[:, :, None], batch["signal"], 0.0)
    seen = signal
    if objective.mask_before_wavelet:
        seen = patches.fill_masked_columns(signal, mask.masked_columns, cfg.patch_samples)
    if objective.waveform_columns == "all":
        mask = predicting_all(mask, cfg)
    predicted: Reconstruction = model.apply(
        {"params": params},
        Windows.of(batch)._replace(signal=seen),
        mask.visible_ids,
        mask.predicted_ids,
        mask.masked_channels,
    )
    target = reconstruction_target(cfg, signal, mask.predicted_ids)
    target = target._replace(
        waveform=_waveform(cfg, normalized_waveform(signal), mask.predicted_ids)
    )
    counted = present[:, :, None, None]
    masked = counted if mask.scored is None else counted & mask.scored
    token_weight = jnp.broadcast_to(masked, target.patches.shape[:-1]).astype(jnp.float32)
    if objective.waveform_columns == "all":
        column_weight = jnp.broadcast_to(present[:, :, None], target.waveform.shape[:-1])
    else:
        column_weight = token_weight.mean(axis=-1) > 0.5
    return Forward(
        predicted,
        target,
        token_weight,
        column_weight.astype(jnp.float32),
        mask.predicted_ids,
        seen,
    )


def predicting_all(mask: Mask, cfg: MaeConfig) -> Mask:
    """Return a mask that predicts every column; the scored tokens are unchanged."""
    if mask.predicted_ids is None:
        return mask
    masked = mask.masked_columns[:, None, :, None]
    scored = jnp.broadcast_to(masked, (len(masked), 1, cfg.num_columns, cfg.num_rows))
    return mask._replace(predicted_ids=None, scored=scored)


def reconstruction_target(
    cfg: MaeConfig, signal: jax.Array, column_ids: jax.Array | None
) -> Reconstruction:
    """Extract the targets of columns [B, P] (None: all) from z-scored signals [B, M, L]."""
    scalogram = wavelet.scalogram(
        signal, cfg.wavelet, cfg.sampling_rate_hz, method=cfg.wavelet_method
    )
    boxes = patches.patchify_scalogram(scalogram, cfg.patch_scales, cfg.patch_samples, column_ids)
    return Reconstruction(boxes, _waveform(cfg, signal, column_ids))


def normalized_waveform(signal: jax.Array) -> jax.Array:
    """Z-score each channel of [B, M, L], clipped to ±10: the target of the waveform loss."""
    return jnp.clip(normalize_samples(signal, None), -10.0, 10.0)


def _waveform(cfg: MaeConfig, signal: jax.Array, column_ids: jax.Array | None) -> jax.Array:
    columns = patches.signal_columns(signal, cfg.patch_samples)
    return columns if column_ids is None else patches.take_columns(columns, column_ids, axis=2)


def pretraining_loss(
    model: MaskedModel, objective: ObjectiveConfig, params: Params, batch: Batch, mask: Mask
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the loss of a batch and its two parts.

    Args:
        model: The autoencoder.
        objective: Weights of the losses.
        params: Model parameters.
        batch: 'signal' [B, M, L] z-scored, 'channel_mask' [B, M], 'channel_ids' [B, M].
        mask: Visible and predicted tokens.

    Returns:
        Scalar loss; {'loss', 'scalogram_loss', 'waveform_loss'} scalars.
    """
    return reconstruction_loss(
        model.config, objective, forward(model, objective, params, batch, mask)
    )


def reconstruction_loss(
    cfg: MaeConfig, objective: ObjectiveConfig, result: Forward
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the result of ``pretraining_loss`` for an existing prediction."""
    weights = jnp.asarray(loss_pixel_weights(cfg, objective))
    predicted, target = result.predicted, result.target
    scalogram_loss = scalogram_error(
        predicted.patches, target.patches, weights, result.token_weight
    ).mean()
    waveform_loss = waveform_error(predicted.waveform, target.waveform, result.column_weight).mean()
    loss = scalogram_loss + objective.waveform_weight * waveform_loss
    return loss, {"loss": loss, "scalogram_loss": scalogram_loss, "waveform_loss": waveform_loss}


def validation_errors(
    model: MaskedModel, objective: ObjectiveConfig, params: Params, batch: Batch, mask: Mask
) -> dict[str, jax.Array]:
    """Compare the model with two trivial baselines on masked tokens, per example.

    The baselines are the mean of the visible columns, and linear interpolation between their
    samples; if every column is partly visible, both use the whole signal of those columns. Both
    are also transformed to scalograms in the target's units.

    Returns:
        {'<domain>/<model|mean|line>': [B]} weighted squared errors, domain 'waveform' or
        'scalogram', in the units of the losses.
    """
    cfg = model.config
    result = forward(model, objective, params, batch, mask)
    signal = jnp.where(batch["channel_mask"][:, :, None], batch["signal"], 0.0)
    statistics = wavelet.plane_statistics(
        wavelet.coefficients(signal, cfg.wavelet, cfg.sampling_rate_hz)
    )
    waveforms = _baselines(normalized_waveform(signal), mask, cfg)
    guesses = {"model": result.predicted}
    for name, baseline in _baselines(signal, mask, cfg).items():
        planes = wavelet.coefficients(baseline, cfg.wavelet, cfg.sampling_rate_hz)
        planes = wavelet.normalize_planes(planes, statistics)
        guesses[name] = Reconstruction(
            patches.patchify_scalogram(
                planes, cfg.patch_scales, cfg.patch_samples, result.predicted_ids
            ),
            _waveform(cfg, waveforms[name], result.predicted_ids),
        )
    weights = jnp.asarray(loss_pixel_weights(cfg, objective))
    errors = {}
    for name, guess in guesses.items():
        errors[f"waveform/{name}"] = waveform_error(
            guess.waveform, result.target.waveform, result.column_weight
        )
        errors[f"scalogram/{name}"] = scalogram_error(
            guess.patches, result.target.patches, weights, result.token_weight
        )
    return errors


def _baselines(signal: jax.Array, mask: Mask, cfg: MaeConfig) -> dict[str, jax.Array]:
    """Reconstruct whole signals [B, M, L] from their visible columns."""
    visible = jnp.repeat(~mask.masked_columns, cfg.patch_samples, axis=1)[:, None]
    mean = (signal * visible).sum(axis=-1, keepdims=True) / visible.sum(axis=-1, keepdims=True)
    line = patches.fill_masked_columns(signal, mask.masked_columns, cfg.patch_samples)
    return {"mean": jnp.broadcast_to(mean, signal.shape), "line": line}
