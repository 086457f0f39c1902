"""Pre-train a masked autoencoder on recordings, without labels."""

import logging
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.data_summary import summarize_data
from physio_mae_jax.data.opening import (
    DatasetBundle,
    open_data,
    reject_duplicate_channels,
    require_split,
)
from physio_mae_jax.data.pipeline import training_batches, validation_batches
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.configs import PretrainConfig
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec, loader_config
from physio_mae_jax.experiment.run_metadata import (
    check_attention,
    count_channel_names,
    count_devices,
    write_run_metadata,
)
from physio_mae_jax.experiment.run_record import write_data_summary
from physio_mae_jax.experiment.typed_config import read_config
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.objectives.contrastive import NUM_MODALITIES, ContrastiveConfig
from physio_mae_jax.objectives.losses import scale_weights
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.plots.curves import draw_scale_weights
from physio_mae_jax.signals.channels import is_ecg
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.training.loop import TrainingRun, train
from physio_mae_jax.training.model_spec import ModelSpec
from physio_mae_jax.training.pretrain_step import PretrainSpec
from physio_mae_jax.training.pretrain_trainable import PretrainTrainable
from physio_mae_jax.training.sharding import check_batch_size, check_devices, make_mesh
from physio_mae_jax.types import JsonObject, Settings

_LOG = logging.getLogger(__name__)


def read(config: Settings) -> PretrainConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    return read_config(PretrainConfig, config)


def run(config: PretrainConfig, workdir: Path, *, strict: bool) -> None:
    """Pre-train; ``strict`` has no effect, as nothing is evaluated on labels."""
    del strict
    train(build_pretraining(config, workdir))


def build_pretraining(config: PretrainConfig, workdir: Path) -> TrainingRun:
    """Open and check the data, and build the parts of a run.

    Args:
        config: Settings.
        workdir: Work folder, created if absent; the settings are written into it.

    Raises:
        UserError: An error that the user can fix; raised before anything is compiled.
    """
    num_devices = count_devices(config.num_devices)
    check_devices(num_devices, config.fsdp)
    check_batch_size(config.batch_size, config.accumulation_steps, num_devices)
    spec = build_pretrain_spec(config, count_channel_names(workdir))
    model = spec.model.config
    check_attention(model)
    workdir = atomic_files.prepare_workdir(workdir)
    primary = jax.process_index() == 0
    opened = open_data(config.data, model.sampling_rate_hz, model.num_samples, progress=primary)
    _check_channels(spec, opened)
    training = require_split(opened, "train", config.data)
    held_out = opened.splits["validation"]
    if not held_out and primary:
        _LOG.warning(
            "data.split_rule=%r holds out no subjects: errors are measured on the training data.",
            config.data.split_rule,
        )
    loader = loader_config(config, opened)
    model_spec = _model_spec(config, spec, opened)
    write_run_metadata(config, workdir, model_spec, opened.subject_splits.to_json())
    if primary:
        write_data_summary(workdir, summarize_data(opened.source, training))
        _draw_scale_weights(workdir, spec.objective, model)
    mesh = make_mesh(num_devices, config.fsdp)
    trainable = PretrainTrainable(
        workdir=workdir,
        spec=spec,
        mesh=mesh,
        validation=validation_batches(
            opened.reader, held_out or training, loader, config.data.max_validation_windows
        ),
        held_out=bool(held_out),
        recordings=opened.source.recordings,
        channels=lambda recording: opened.reader.plan(recording).channels,
    )
    return TrainingRun(
        workdir=workdir,
        trainable=trainable,
        loop=config.loop,
        mesh=mesh,
        batch_size=config.batch_size,
        seed=config.seed,
        training=training_batches(opened.reader, training, loader),
        recordings=opened.source.recordings,
        sampling_rate_hz=model.sampling_rate_hz,
        model_spec=model_spec,
        trained_on=TrainingProvenance.from_recordings(opened.source, training),
    )


def _model_spec(config: PretrainConfig, spec: PretrainSpec, opened: DatasetBundle) -> JsonObject:
    """Describe the model, its input and its split, for the checkpoints."""
    return ModelSpec(
        model=spec.model.config,
        objective=spec.objective,
        contrastive=config.contrastive,
        input=opened.input_spec,
        split={"rule": opened.subject_splits.rule, "hash": opened.subject_splits.hash},
    ).to_json()


def _check_channels(spec: PretrainSpec, opened: DatasetBundle) -> None:
    """Raise if channels share one embedding, or are not the two of a contrastive model."""
    model = spec.model.config
    if spec.contrastive is None:
        if model.channel_embedding:
            reject_duplicate_channels(opened, model.num_channel_names)
    elif opened.reader.config.num_channels != NUM_MODALITIES:
        raise ConfigError(
            f"contrastive.weight={spec.contrastive.weight} aligns {NUM_MODALITIES} modalities, but "
            f"data.channels gives {', '.join(opened.input_spec.channels)}; name two, or set it to "
            "0."
        )
    elif spec.contrastive.is_aligned:
        _check_order(spec.contrastive, opened.input_spec.channels)


def _check_order(contrastive: ContrastiveConfig, channels: Sequence[str]) -> None:
    """Raise if an ECG is to follow a pulse, where the pulse follows the ECG."""
    if min(contrastive.lag_seconds) > 0 and is_ecg(channels[0]) and not is_ecg(channels[1]):
        raise ConfigError(
            f"contrastive.lag_seconds={contrastive.lag_seconds} is the lag of the first channel "
            f"after the second, but data.channels gives {', '.join(channels)}; a pulse follows "
            f"its ECG, so set data.channels to {channels[1]},{channels[0]}."
        )


def _draw_scale_weights(workdir: Path, objective: ObjectiveConfig, model: MaeConfig) -> None:
    bank = wavelet_bank(model.wavelet, model.sampling_rate_hz, model.num_samples)
    weights = scale_weights(
        np.asarray(bank.frequencies_hz),
        band_hz=objective.band_hz,
        edge_octaves=objective.band_edge_octaves,
        floor=objective.band_floor,
        tilt=objective.scale_tilt,
    )
    atomic_files.write_figure(
        workdir / "plots" / "scale_weights.png",
        lambda: draw_scale_weights(bank.frequencies_hz, weights),
    )
