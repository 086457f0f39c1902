"""Valid range of every setting in ``configs/``, in one table checked before anything is opened.

Bounds are wide: they exclude mistakes (a batch of 10^12) and runs that would never end. Specific
checks, such as whether patches divide a window, are in the modules that use the settings.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.setting_kinds import (
    Choice,
    Flag,
    Kind,
    LocalPath,
    Number,
    Numbers,
    Text,
    check_setting_value,
)
from physio_mae_jax.types import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_SEED = Number(low=0, high=2**32 - 1, whole=True, example=0)
_SHARE = Number(low=0.0, high=1.0, example=0.1)
_SHARE_BELOW_1 = Number(low=0.0, high=1.0, below=True, example=0.1)
_INSIDE_0_1 = Number(low=0.0, high=1.0, above=True, below=True, example=0.75)
_RATE_HZ = Number(low=1.0, high=50_000.0, example=100.0)
_SECONDS = Number(low=0.0, high=604_800.0, above=True, example=30.0)
_SECONDS_OR_0 = Number(low=0.0, high=604_800.0, example=0.0)
_HZ = Number(low=0.0, high=25_000.0, example=0.5)
_ABOVE_0_HZ = Number(low=0.0, high=25_000.0, above=True, example=0.5)
_LEARNING_RATE = Number(low=0.0, high=100.0, above=True, example=1e-3)
_DEVIATIONS = Number(low=0.0, high=10.0, below=True, example=0.1)
_WEIGHT = Number(low=0.0, high=1e6, example=1.0)
_THREADS = Number(low=0, high=1024, whole=True, example=4)
_WORKERS = Number(low=1, high=1024, whole=True, example=2)
_SUBJECTS = "'S02,S05'"


def _whole(low: int, high: int, example: int) -> Number:
    return Number(low=low, high=high, whole=True, example=example)


_STEPS = _whole(1, 10**9, 1_000)

SETTINGS: dict[str, Kind] = {
    "command": Text("pretrain"),
    "seed": _SEED,
    "num_devices": _whole(0, 2**20, 0),
    "fsdp": _whole(1, 2**20, 1),
    "batch_size": _whole(1, 2**18, 64),
    "accumulation_steps": _whole(1, 2**18, 1),
    "sampling_rate_hz": _RATE_HZ,
    "window_seconds": _SECONDS,
    "num_workers": _WORKERS,
    "worker": Flag(),
    # Run or weights.
    "init_from": LocalPath("runs/first"),
    "torch_weights": LocalPath("weights.pth"),
    "torch_config": LocalPath("config.json"),
    # Data.
    "data.sets": Text("ptbxl:2+bidmc:1"),
    "data.root": LocalPath("data"),
    "data.path": LocalPath("recordings"),
    "data.manifest": LocalPath("manifest.json"),
    "data.files": Text("a.edf,b.edf"),
    "data.channels": Text("II,PPG"),
    "data.missing_channels": Choice(("error", "mask")),
    "data.on_invalid": Choice(("error", "skip")),
    "data.band_hz": Numbers(
        each=_HZ,
        min_length=2,
        max_length=2,
        description="(low, high) in Hz with 0 < low < high, or (0, 0) for none,",
        example=(0.5, 40.0),
        rule=lambda band: tuple(band) == (0, 0) or 0 < band[0] < band[1],
    ),
    "data.sampling_temperature": Number(low=1.0, high=1e6, example=2.0),
    "data.windows_per_recording": _whole(1, 65_536, 8),
    "data.split_rule": Text("random=|0.1|0.1"),
    "data.split_seed": _SEED,
    "data.max_validation_windows": _whole(1, 10**7, 256),
    "data.num_threads": _THREADS,
    "data.cache_mib": _whole(0, 2**24, 1024),
    "data.speed_perturbation": Numbers(
        each=Number(low=0.25, high=4.0, example=1.0),
        min_length=2,
        max_length=2,
        description="(slowest, fastest) with 0.25 ≤ slowest ≤ 1 ≤ fastest ≤ 4",
        example=(0.6, 1.6),
        rule=lambda tempo: tempo[0] <= 1 <= tempo[1],
    ),
    "data.augment.noise": _DEVIATIONS,
    "data.augment.baseline_wander": _DEVIATIONS,
    "data.augment.powerline": _DEVIATIONS,
    "data.augment.channel_dropout": _SHARE_BELOW_1,
    "data.augment.time_mask": _SHARE_BELOW_1,
    "data.cohort.num_subjects": _whole(1, 100_000, 64),
    "data.cohort.recordings_per_subject": _whole(1, 1_000, 2),
    "data.cohort.seconds": Number(low=2.0, high=86_400.0, example=60.0),
    "data.cohort.sampling_rate_hz": Number(low=50.0, high=5_000.0, example=100.0),
    "data.cohort.noise_level": Number(low=0.0, high=1_000.0, example=1.0),
    "data.cohort.seed": _SEED,
    "split": Choice(("train", "validation", "test", "all")),
    "held_out": Choice(("test", "validation")),
    # The model.
    "model.sampling_rate_hz": _RATE_HZ,
    "model.num_samples": _whole(1, 50_000_000, 3_000),
    "model.patch_samples": _whole(1, 50_000_000, 30),
    "model.patch_scales": _whole(1, 1_024, 8),
    "model.width": _whole(2, 65_536, 512),
    "model.depth": _whole(1, 1_000, 12),
    "model.num_heads": _whole(1, 4_096, 8),
    "model.decoder_width": _whole(2, 65_536, 256),
    "model.decoder_depth": _whole(1, 1_000, 4),
    "model.decoder_num_heads": _whole(1, 4_096, 4),
    "model.encoder_attention": Choice(("factorized", "joint")),
    "model.decoder_attention": Choice(("factorized", "joint")),
    "model.time_mixer": Text("attention"),
    "model.attention_every": _whole(0, 1_000, 4),
    "model.state_size": _whole(2, 4_096, 64),
    "model.lookahead_seconds": _SECONDS_OR_0,
    "model.attention_block_seconds": _SECONDS_OR_0,
    "model.channel_attention": Flag(),
    "model.channel_smoothing": Flag(),
    "model.mlp_rank_ratio": _SHARE,
    "model.attention_rank_ratio": _SHARE,
    "model.class_token": Flag(),
    "model.decoder_class_position": Choice(("always", "never", "one_channel")),
    "model.rotary_positions": Choice(("column", "token")),
    "model.waveform_branch": Flag(),
    "model.convolutional_stem": Choice(("none", "normalized", "folded")),
    "model.waveform_head_norm": Flag(),
    "model.channel_embedding": Flag(),
    "model.decoder_channel_embedding": Flag(),
    "model.latent_head": Flag(),
    "model.drop_path_rate": _SHARE_BELOW_1,
    "model.attention_implementation": Choice(("xla", "cudnn", "fused")),
    "model.remat": Choice(("none", "elementwise", "full")),
    "model.unroll_layers": Flag(),
    "model.compute_dtype": Choice(("float32", "bfloat16")),
    "model.wavelet.bank": Choice(("hz", "samples")),
    "model.wavelet.num_scales": _whole(2, 1_024, 64),
    "model.wavelet.lowest_frequency_hz": _ABOVE_0_HZ,
    "model.wavelet.highest_frequency_hz": _ABOVE_0_HZ,
    "model.wavelet.difference_planes": Flag(),
    # Objectives.
    "objective.mask.kind": Choice(("tube", "random_rows", "time_scale", "random")),
    "objective.mask.mask_ratio": _INSIDE_0_1,
    "objective.mask.row_mask_ratio": _INSIDE_0_1,
    "objective.mask.channel_mask_ratio": _SHARE_BELOW_1,
    "objective.mask_before_wavelet": Flag(),
    "objective.waveform_weight": _WEIGHT,
    "objective.waveform_columns": Choice(("masked", "all")),
    "objective.plane_weights": Numbers(
        each=_WEIGHT,
        min_length=1,
        max_length=3,
        description="a weight from 0 to 1e+06 for each wavelet plane",
        example=(1.0, 0.5, 0.1),
    ),
    "objective.band_hz": Numbers(
        each=_HZ,
        min_length=2,
        max_length=2,
        description="(low, high) in Hz with 0 < low < high",
        example=(0.5, 50.0),
        rule=lambda band: 0 < band[0] < band[1],
    ),
    "objective.band_edge_octaves": Number(low=0.0, high=100.0, above=True, example=1.0),
    "objective.band_floor": _SHARE,
    "objective.scale_tilt": Number(low=-100.0, high=100.0, example=0.5),
    "objective.latent_weight": _WEIGHT,
    "objective.teacher_decay": _SHARE_BELOW_1,
    "objective.predicted_share": Number(low=0.0, high=1.0, above=True, example=0.5),
    "objective.focal_gamma": Number(low=0.0, high=100.0, example=2.0),
    "objective.label_smoothing": _SHARE_BELOW_1,
    "objective.balance": Choice(("none", "inverse", "effective")),
    "objective.mixup": Number(low=0.0, high=1_000.0, example=0.2),
    "contrastive.weight": _WEIGHT,
    "contrastive.view": Choice(("masked", "whole")),
    "contrastive.same_subject_negatives": Flag(),
    "contrastive.temperature": Number(low=0.01, high=1_000.0, example=0.07),
    "contrastive.temperature_is_learned": Flag(),
    "contrastive.projection_width": _whole(1, 65_536, 256),
    "contrastive.readout": Choice(("pooled", "aligned")),
    "contrastive.column_steps": _whole(1, 64, 4),
    "contrastive.step_width": _whole(1, 4_096, 16),
    "contrastive.lag_seconds": Numbers(
        each=Number(low=-2.0, high=2.0, example=0.08),
        min_length=2,
        max_length=2,
        rule=lambda lags: lags[0] <= lags[1],
        description="(shortest, longest) in seconds, each -2 to 2",
        example=(0.08, 0.7),
    ),
    "contrastive.pooled_weight": _WEIGHT,
    "contrastive.cross_modal_weight": _WEIGHT,
    "contrastive.rotated_negatives": _whole(0, 1_024, 8),
    # Training.
    "optimizer.peak_learning_rate": _LEARNING_RATE,
    "optimizer.end_learning_rate": Number(low=0.0, high=100.0, example=1e-6),
    "optimizer.warmup_steps": _whole(0, 10**9, 50),
    "optimizer.weight_decay": Number(low=0.0, high=1_000.0, example=0.05),
    "optimizer.clip_norm": Number(low=0.0, high=1e9, above=True, example=3.0),
    "optimizer.beta1": _SHARE_BELOW_1,
    "optimizer.beta2": _SHARE_BELOW_1,
    "loop.num_steps": _STEPS,
    "loop.log_every_steps": _STEPS,
    "loop.evaluate_every_steps": _STEPS,
    "loop.checkpoint_every_steps": _STEPS,
    "loop.max_to_keep": _whole(1, 10**6, 3),
    "loop.watchdog_seconds": Number(low=1.0, high=3.2e7, example=1_800.0),
    "loop.profile_at_step": _whole(0, 10**9, 0),
    "loop.profile_num_steps": _whole(1, 10_000, 5),
    # Learning from labels.
    "architecture": Choice(("mae", "resnet1d_wang", "xresnet1d101")),
    "labels.task": Text("superclass"),
    "labels.classes": Text("N,S,V,F"),
    "labels.require_label": Flag(),
    "labels.max_windows": _whole(1, 10**6, 16),
    "labels.event_offset": _SHARE,
    "labels.window_seconds": _SECONDS_OR_0,
    "labels.window_stride": Number(low=0.001, high=1e6, example=1.0),
    "label_fraction": Number(low=0.0, high=1.0, above=True, example=0.1),
    "balanced_sampling": Flag(),
    "auxiliary.task": Text("all"),
    "auxiliary.weight": _WEIGHT,
    "lora.rank": _whole(0, 4_096, 8),
    "lora.alpha": Number(low=0.0, high=1e6, above=True, example=16.0),
    "head.kind": Text("linear"),
    "head.num_classes": _whole(1, 10**6, 5),
    "head.num_queries": _whole(1, 4_096, 16),
    "head.dropout_rate": _SHARE_BELOW_1,
    "head.hidden_width": _whole(1, 65_536, 512),
    "head.num_blocks": _whole(0, 1_000, 2),
    "head.arcface": Flag(),
    "head.arcface_scale": Number(low=0.0, high=1e6, above=True, example=30.0),
    "head.arcface_margin": Number(low=0.0, high=math.pi / 2, below=True, example=0.5),
    "head.event_offset": _SHARE,
    "encoder_lr_scale": Number(low=0.0, high=100.0, example=0.1),
    "head_only_steps": _whole(0, 10**9, 200),
    "drop_path_rate": _SHARE_BELOW_1,
    "layer_decay": Number(low=0.0, high=1.0, above=True, example=0.75),
    "frozen_blocks": _whole(-1, 1_000, -1),
    "ema_decay": _SHARE_BELOW_1,
    "patience": _whole(0, 10**9, 10),
    "evaluation.threshold_beta": Number(low=0.01, high=1_000.0, example=1.0),
    "evaluation.num_resamples": _whole(10, 100_000, 1_000),
    "evaluation.min_positives": _whole(1, 10**6, 10),
    # Evaluation.
    "method": Choice(("head", "probe", "knn")),
    "encoders": Text("pretrained,random"),
    "refit": Flag(),
    "models": Text("pretrained,scratch"),
    "label_fractions": Text("0.1,1"),
    "seeds": Text("0,1,2"),
    "validation_share": Number(low=0.0, high=1.0, above=True, below=True, example=0.2),
    "subjects": Text(_SUBJECTS),
    "max_windows_per_subject": _whole(1, 10**6, 40),
    "probe_recordings": _whole(1, 10**7, 300),
    "probe_windows": _whole(1, 10**6, 4),
    # A task of a suite, beside the settings of its comparison.
    "suite_task.title": Text("PTB-XL"),
    "suite_task.note": Text("Patients are not named."),
    "suite_task.headline": Text("macro_auroc"),
    "suite_task.folds": Text("5"),
    "suite_task.longest_window_seconds": _SECONDS_OR_0,
    # Embedding files.
    "process_index": _whole(0, 2**20, 0),
    "process_count": _whole(0, 2**20, 0),
    "tasks": Text("superclass"),
    # Export for devices.
    "file": Text("model.onnx"),
    "precision": Choice(("float32", "int8")),
    "output": Choice(("default", "embedding", "columns", "logits")),
    "num_channels": _whole(0, 64, 2),
    "format": Choice(("npz", "parquet", "array_record")),
    "recordings_per_shard": _whole(1, 10**7, 256),
    "encoding.output": Choice(("pooled", "channels", "columns", "tokens")),
    "encoding.rows": Choice(("recording", "window")),
    "encoding.overlap": _SHARE_BELOW_1,
    "encoding.derive_leads": Flag(),
    "encoding.unknown_channels": Choice(("error", "exclude")),
    "encoding.on_invalid": Choice(("error", "skip")),
    "encoding.num_threads": _THREADS,
}
_SECTIONS = {key.rpartition(".")[0] for key in SETTINGS if "." in key} | {"data.raw_manifests"}


def check_settings(values: Settings, section: str = "", shown: str = "") -> None:
    """Raise on values outside the range of a setting.

    Settings absent from the table are not checked.

    Args:
        values: Settings, and sections of settings; any object with ``items``.
        section: Section of the table they belong to, such as 'model'; '' for a whole config.
        shown: Prefix of their names in an error, where it is not the section.

    Raises:
        ConfigError: Names the setting, the value found, the valid range and an example.
    """
    for name, value in values.items():
        key = f"{section}.{name}" if section else name
        label = f"{shown or section}.{name}" if section or shown else name
        # Rows of a comparison are separate configs, also where a setting has their name.
        is_row = not section and hasattr(value, "items") and "batch_size" in value
        if is_row or (hasattr(value, "items") and key not in SETTINGS):
            check_settings(value, "" if is_row else key, label)
        elif key in _SECTIONS:
            raise ConfigError(f"{label} is {str(value)[:80]!r}; it must be a section of settings.")
        elif key in SETTINGS:
            check_setting_value(SETTINGS[key], label, value)
        elif section == "data.raw_manifests":
            check_setting_value(LocalPath(), label, value)


def check_fields(instance: "DataclassInstance", section: str) -> None:
    """Check the fields of a settings dataclass like ``check_settings``, but no nested fields.

    Raises:
        ConfigError: As in ``check_settings``.
    """
    values = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    own = {name: value for name, value in values.items() if not dataclasses.is_dataclass(value)}
    check_settings(own, section)


def path_settings(values: Mapping[str, object]) -> list[str]:
    """Return the names of the settings of a config that are paths and not empty."""
    found = []
    for key, kind in SETTINGS.items():
        value: Any = values
        for name in key.split("."):
            value = value[name] if hasattr(value, "items") and name in value else None
        if isinstance(kind, LocalPath) and isinstance(value, str) and value:
            found.append(key)
    return found
