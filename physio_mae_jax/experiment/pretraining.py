"""Build a pre-training run from a ConfigDict."""

import logging
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.opening import (
    DatasetBundle,
    open_data,
    reject_duplicate_channels,
    require_split,
)
from physio_mae_jax.data.pipeline import LoaderConfig, training_batches, validation_batches
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.run_metadata import (
    channel_names_of,
    check_attention,
    count_devices,
    write_run_metadata,
)
from physio_mae_jax.experiment.typed_config import (
    data_settings,
    model_settings,
    objective_settings,
    to_dataclass,
)
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.objectives.contrastive import NUM_MODALITIES, ContrastiveConfig
from physio_mae_jax.objectives.losses import scale_weights
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.plots.curves import draw_scale_weights
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.signals.vocabulary import VOCABULARY
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.loop import LoopConfig, TrainingRun
from physio_mae_jax.training.model_spec import ModelSpec, build_autoencoder
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.pretrain_step import PretrainSpec
from physio_mae_jax.training.pretrain_trainable import PretrainTrainable
from physio_mae_jax.training.sharding import check_batch_size, check_devices, make_mesh

_LOG = logging.getLogger(__name__)


def build_pretraining(config: ConfigDict, workdir: Path) -> TrainingRun:
    """Validate every setting, open and check the data, and build the parts of a run.

    Args:
        config: ConfigDict as returned by ``configs/pretrain.py``.
        workdir: Work folder, created if absent; the settings are written into it.

    Raises:
        UserError: An error that the user can fix; raised before anything is compiled.
    """
    check_settings(config)
    num_devices = count_devices(config.num_devices)
    check_devices(num_devices, config.fsdp)
    check_batch_size(config.batch_size, config.accumulation_steps, num_devices)
    data = data_settings(config.data)
    loop = to_dataclass(LoopConfig, "loop", config.loop)
    spec = build_pretrain_spec(config, channel_names_of(workdir))
    model, objective = spec.model.config, spec.objective
    check_attention(model)
    workdir = atomic_files.prepare_workdir(workdir)
    primary = jax.process_index() == 0
    opened = open_data(data, model.sampling_rate_hz, model.num_samples, progress=primary)
    if model.channel_embedding and not spec.contrastive:
        reject_duplicate_channels(opened, model.num_channel_names)
    training = require_split(opened, "train", data)
    held_out = opened.splits["validation"]
    if not held_out and primary:
        _LOG.warning(
            "data.split_rule=%r holds nothing out: errors are measured on the training data.",
            data.split_rule,
        )
    if spec.contrastive and opened.reader.config.num_channels != NUM_MODALITIES:
        raise ConfigError(
            f"contrastive.weight={spec.contrastive.weight} aligns {NUM_MODALITIES} modalities, but "
            f"data.channels gives {', '.join(opened.input_spec.channels)}; name two, or set it to "
            "0."
        )
    loader = loader_settings(config, opened)
    model_spec = ModelSpec(
        model=model,
        objective=objective,
        contrastive=to_dataclass(ContrastiveConfig, "contrastive", config.contrastive),
        input=opened.input_spec,
        split={"rule": opened.subject_splits.rule, "hash": opened.subject_splits.hash},
    ).to_json()
    write_run_metadata(config, workdir, model_spec, opened.subject_splits.to_json())
    if primary:
        _draw_scale_weights(workdir, objective, model)
    mesh = make_mesh(num_devices, config.fsdp)
    trainable = PretrainTrainable(
        workdir=workdir,
        spec=spec,
        mesh=mesh,
        validation=validation_batches(
            opened.reader, held_out or training, loader, data.max_validation_windows
        ),
        held_out=bool(held_out),
        recordings=opened.source.recordings,
        channels=lambda recording: opened.reader.plan(recording).channels,
    )
    return TrainingRun(
        workdir=workdir,
        trainable=trainable,
        loop=loop,
        mesh=mesh,
        batch_size=config.batch_size,
        seed=config.seed,
        training=training_batches(opened.reader, training, loader),
        recordings=opened.source.recordings,
        sampling_rate_hz=model.sampling_rate_hz,
        model_spec=model_spec,
        trained_on=TrainingProvenance.of(opened.source, training),
    )


def loader_settings(config: ConfigDict, opened: DatasetBundle) -> LoaderConfig:
    """Return how batches of open data are made, and the part this process makes."""
    data = data_settings(config.data)
    return LoaderConfig(
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=data.num_threads,
        speed_perturbation=data.speed_perturbation,
        augment=data.augment,
        set_weights=opened.set_weights,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


def build_pretrain_spec(
    config: ConfigDict, num_channel_names: int = len(VOCABULARY)
) -> PretrainSpec:
    """Build what a step needs besides its state; no data is opened.

    Args:
        config: ConfigDict as returned by ``configs/pretrain.py``.
        num_channel_names: Number of channel names with an embedding in the model.

    Raises:
        ConfigError: A setting is out of range or contradicts another one.
    """
    objective = objective_settings(config.objective)
    contrastive = to_dataclass(ContrastiveConfig, "contrastive", config.contrastive)
    optimizer = to_dataclass(OptimizerConfig, "optimizer", config.optimizer)
    model = model_settings(
        config.model, config.window_seconds, config.sampling_rate_hz, num_channel_names
    )
    objective.check_against(model)
    # Built here for validation: the bank rejects frequencies that a window cannot resolve.
    wavelet_bank(model.wavelet, model.sampling_rate_hz, model.num_samples)
    return PretrainSpec(
        model=build_autoencoder(model, contrastive),
        objective=objective,
        contrastive=contrastive if contrastive.weight else None,
        optimizer=make_optimizer(optimizer, config.loop.num_steps),
        learning_rate=learning_rate_schedule(optimizer, config.loop.num_steps),
        accumulation_steps=config.accumulation_steps,
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
