"""The door from a ConfigDict to typed settings and built parts; nothing past it reads a config."""

import dataclasses
import logging
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from physio_mae_jax.data.checks import check_recordings, refuse_unknown_channels
from physio_mae_jax.data.folder import open_folder
from physio_mae_jax.data.pipeline import LoaderConfig, training_batches, validation_batches
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.data.splits import split_by_subject
from physio_mae_jax.data.synthetic import CohortConfig, SyntheticCohort
from physio_mae_jax.data.windows import WindowConfig, WindowReader
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.figures.curves import draw_scale_weights
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.models.mae import MaskedAutoencoder
from physio_mae_jax.objectives.contrastive import NUM_MODALITIES, ContrastiveConfig
from physio_mae_jax.objectives.losses import scale_weights
from physio_mae_jax.objectives.pretraining import MaskedModel, ObjectiveConfig
from physio_mae_jax.settings import DataConfig, model_settings, objective_settings, typed
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.wavelet import wavelet_bank
from physio_mae_jax.training import artifacts
from physio_mae_jax.training.loop import LoopConfig, PretrainRun
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.sharding import check_batch_size, make_mesh
from physio_mae_jax.training.step import PretrainTask

_LOG = logging.getLogger(__name__)


class OpenedData(NamedTuple):
    """Readable recordings, and the indices of those to train on and of those held out."""

    reader: WindowReader
    training: list[int]
    held_out: list[int]


def build_pretraining(config: ConfigDict, workdir: Path) -> PretrainRun:
    """Check every setting, open and check the data, and build the parts of a run.

    Args:
        config: as ``configs/pretrain.py`` makes it.
        workdir: made if absent; settings are written into it.

    Raises:
        UserError: anything a user can mend, before anything is compiled.
    """
    num_devices = config.num_devices or jax.device_count()
    if num_devices > jax.device_count():
        raise ConfigError(
            f"num_devices={num_devices}, but this machine offers {jax.device_count()}; lower it "
            "or set 0 for all."
        )
    check_batch_size(config.batch_size, config.accumulation_steps, num_devices)
    data = typed(DataConfig, "data", config.data)
    loop = typed(LoopConfig, "loop", config.loop)
    objective = objective_settings(config.objective)
    contrastive = typed(ContrastiveConfig, "contrastive", config.contrastive)
    optimizer = typed(OptimizerConfig, "optimizer", config.optimizer)
    model = model_settings(config.model, config.window_seconds, config.sampling_rate_hz)
    objective.check_against(model)
    _check_attention(model)
    schedule = learning_rate_schedule(optimizer, loop.num_steps)
    wavelet_bank(model.wavelet, model.sampling_rate_hz, model.num_samples)
    workdir = artifacts.prepare_workdir(workdir)
    reader, training, held_out = open_data(data, model)
    if contrastive.weight and len(reader.config.channels) != NUM_MODALITIES:
        raise ConfigError(
            f"contrastive.weight={contrastive.weight} aligns {NUM_MODALITIES} modalities, but "
            f"data.channels gives {', '.join(reader.config.channels)}; name two, or set it to 0."
        )
    loader = LoaderConfig(
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=data.num_threads,
        tempo_range=(data.tempo_range[0], data.tempo_range[1]),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    contract = {
        "model": dataclasses.asdict(model),
        "objective": dataclasses.asdict(objective),
        "contrastive": dataclasses.asdict(contrastive),
        "window": dataclasses.asdict(reader.config) | {"normalisation": "z-score, clipped to 10"},
    }
    if jax.process_index() == 0:
        with artifacts.telling_a_full_disk(workdir):
            _describe_run(workdir, config, contract, objective, model)
    return PretrainRun(
        workdir=workdir,
        task=PretrainTask(
            model=build_model(model, contrastive),
            objective=objective,
            contrastive=contrastive if contrastive.weight else None,
            optimizer=make_optimizer(optimizer, loop.num_steps),
            learning_rate=schedule,
            accumulation_steps=config.accumulation_steps,
            seed=config.seed,
        ),
        loop=loop,
        mesh=make_mesh(num_devices),
        batch_size=config.batch_size,
        training=training_batches(reader, training, loader),
        validation=validation_batches(reader, held_out, loader, data.max_held_out_windows),
        recordings=reader.source.recordings,
        channels=reader.config.channels,
        contract=contract,
    )


def build_model(cfg: MaeConfig, contrastive: ContrastiveConfig) -> MaskedModel:
    """Make the model that these settings train."""
    if not contrastive.weight:
        return MaskedAutoencoder(cfg)
    return ContrastiveAutoencoder(
        cfg,
        contrastive.projection_width,
        contrastive.temperature,
        contrastive.temperature_is_learned,
    )


def open_data(data: DataConfig, model: MaeConfig) -> OpenedData:
    """Open the source, check its recordings, and split it by subject."""
    source: SignalSource
    if data.source == "synthetic":
        source = SyntheticCohort(typed(CohortConfig, "data.cohort", data.cohort))
    else:
        source = open_folder(
            data.path, data.manifest or None, skip_unreadable=data.on_invalid == "skip"
        )
    names = [name for name in data.channels.split(",") if name.strip()]
    channels = tuple(canonical_name(name) for name in names) or source.recordings[0].channel_names
    window = WindowConfig(
        channels=channels,
        sampling_rate_hz=model.sampling_rate_hz,
        num_samples=model.num_samples,
    )
    usable = list(range(len(source.recordings)))
    if data.source == "folder":
        usable, report = check_recordings(
            source,
            min_seconds=window.seconds * data.tempo_range[1],
            channels=channels,
            missing_channels=data.missing_channels,
            on_invalid=data.on_invalid,
            progress=jax.process_index() == 0,
        )
        _LOG.info("%s", report.summary())
    else:
        refuse_unknown_channels(source.recordings, channels)
    training, held_out = split_by_subject(
        source.recordings, usable, data.held_out_fraction, data.split_seed
    )
    _LOG.info(
        "%d recordings to train on, %d of other subjects held out; channels %s",
        len(training),
        len(held_out),
        ", ".join(channels),
    )
    return OpenedData(WindowReader(source, window), training, held_out)


def _check_attention(model: MaeConfig) -> None:
    if model.attention_implementation == "cudnn" and jax.default_backend() != "gpu":
        raise ConfigError(
            "model.attention_implementation is 'cudnn', which needs an NVIDIA GPU, but JAX runs on "
            f"{jax.default_backend()!r} here; set it to 'xla', or install jax[cuda13] (README.md)."
        )


def _describe_run(
    workdir: Path,
    config: ConfigDict,
    contract: Mapping[str, Any],
    objective: ObjectiveConfig,
    model: MaeConfig,
) -> None:
    """Write config.json and the picture of the scale weights."""
    packages = ("physio_mae_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain")
    artifacts.write_json(
        workdir / "config.json",
        {
            "command": shlex.join(sys.argv),
            "config": config.to_dict(),
            "contract": contract,
            "devices": [str(device) for device in jax.devices()],
            "versions": {"python": platform.python_version()}
            | {package: _version(package) for package in packages},
        },
    )
    bank = wavelet_bank(model.wavelet, model.sampling_rate_hz, model.num_samples)
    weights = scale_weights(
        np.asarray(bank.frequencies_hz),
        band_hz=objective.band_hz,
        edge_octaves=objective.band_edge_octaves,
        floor=objective.band_floor,
        tilt=objective.scale_tilt,
    )
    artifacts.write_figure(
        workdir / "figures" / "scale_weights.png", draw_scale_weights(bank.frequencies_hz, weights)
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed as a package"
