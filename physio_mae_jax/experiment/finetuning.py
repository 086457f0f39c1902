"""From a ConfigDict to everything that learning from labels is made of."""

import dataclasses
import logging
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from physio_mae_jax.data.contamination import TrainingRecord, check_contamination
from physio_mae_jax.data.labelled_batches import labelled_training_batches
from physio_mae_jax.data.opening import DataConfig, OpenedData, open_data, require_part
from physio_mae_jax.data.pipeline import LoaderConfig
from physio_mae_jax.data.splits import PARTS
from physio_mae_jax.data.units import UnitConfig, Units, choose_fraction, find_units
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.trained import (
    EvaluationConfig,
    FinetuneRun,
    selection_metric,
)
from physio_mae_jax.experiment.encoders import StartingEncoder, encoder_of_file, encoder_of_run
from physio_mae_jax.experiment.environment import (
    check_attention,
    count_devices,
    describe_environment,
)
from physio_mae_jax.experiment.settings import data_settings, model_settings, typed
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.convolutional_classifier import ConvolutionalClassifier
from physio_mae_jax.models.heads import Classifier, HeadConfig
from physio_mae_jax.models.resnet import BASELINES
from physio_mae_jax.objectives.supervised import SupervisedConfig, class_weights
from physio_mae_jax.training import artifacts
from physio_mae_jax.training.loop import LoopConfig, TrainingRun
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    depth_multipliers,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.sharding import check_batch_size, make_mesh
from physio_mae_jax.training.supervised_job import SupervisedJob
from physio_mae_jax.training.supervised_step import SupervisedTask

_LOG = logging.getLogger(__name__)
MAE = "mae"


class _Window(NamedTuple):
    """What a model sees, and the encoder it begins with, if any."""

    sampling_rate_hz: float
    num_samples: int
    config: MaeConfig | None
    start: StartingEncoder | None


def build_finetuning(config: ConfigDict, workdir: Path, *, strict: bool) -> FinetuneRun:
    """Check every setting, open data and encoder, and build the parts of a run.

    Args:
        config: as ``configs/finetune.py`` makes it.
        workdir: made if absent; settings are written into it.
        strict: refuse to judge on what the encoder was pre-trained on.

    Raises:
        UserError: anything a user can mend, before anything is compiled.
    """
    num_devices = count_devices(config.num_devices)
    check_batch_size(config.batch_size, 1, num_devices)
    objective = typed(SupervisedConfig, "objective", config.objective)
    optimizer = typed(OptimizerConfig, "optimizer", config.optimizer)
    loop = typed(LoopConfig, "loop", config.loop)
    unit_config = typed(UnitConfig, "units", config.units)
    evaluation = typed(EvaluationConfig, "evaluation", config.evaluation)
    data = data_settings(config.data)
    window = _window(config)
    workdir = artifacts.prepare_workdir(workdir)
    primary = jax.process_index() == 0
    opened = open_data(data, window.sampling_rate_hz, window.num_samples, progress=primary)
    units = labelled_parts(opened, data, unit_config)
    units["train"] = _fraction(opened, units["train"], config)
    mean, deviation = _standard(units["train"])
    model, contract = _model(config, window, units["train"], objective)
    contract |= {
        "input": opened.contract.to_json(),
        "split": {"rule": opened.split.rule, "hash": opened.split.hash},
        "units": dataclasses.asdict(unit_config)
        | {"kind": units["train"].kind, "names": list(units["train"].classes)},
        "targets": {"mean": mean.tolist(), "deviation": deviation.tolist()},
    }
    learned_from = TrainingRecord.of(opened.source, np.unique(units["train"].recording).tolist())
    if window.start is not None:
        learned_from = learned_from.joined(window.start.trained_on)
    contamination = check_contamination(
        learned_from, opened.source, np.unique(units["test"].recording).tolist(), strict=strict
    )
    mesh = make_mesh(num_devices)
    window_shape = (opened.reader.config.num_channels, window.num_samples)
    task = _task(config, model, window, units["train"], objective, optimizer, window_shape)
    metric_name, metric = selection_metric(units["train"].kind)
    job = SupervisedJob(
        workdir=workdir,
        task=task,
        mesh=mesh,
        window_shape=window_shape,
        encoder=window.start.params if window.start else None,
        reader=opened.reader,
        validation=standardised(units["validation"], mean, deviation),
        metric=metric,
        metric_name=metric_name,
        batch_size=config.batch_size,
        num_threads=data.num_threads,
        patience_steps=config.patience * loop.evaluate_every_steps,
        contract=contract,
        trained_on=learned_from,
    )
    loader = LoaderConfig(
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=data.num_threads,
        augment=data.augment,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    if primary:
        with artifacts.telling_a_full_disk(workdir):
            artifacts.write_json(workdir / "config.json", describe_environment(config, contract))
            artifacts.write_json(workdir / "split.json", opened.split.to_json())
    return FinetuneRun(
        training=TrainingRun(
            workdir=workdir,
            job=job,
            loop=loop,
            mesh=mesh,
            batch_size=config.batch_size,
            seed=config.seed,
            training=labelled_training_batches(
                opened.reader,
                standardised(units["train"], mean, deviation),
                loader,
                balanced=config.balanced_sampling,
            ),
            recordings=opened.source.recordings,
            sampling_rate_hz=window.sampling_rate_hz,
            contract=contract,
            trained_on=learned_from,
        ),
        job=job,
        source=opened.source,
        units=units,
        target_mean=mean,
        target_deviation=deviation,
        config=evaluation,
        context=card_context(config, opened, units, contamination.line()),
    )


def labelled_parts(opened: OpenedData, data: DataConfig, config: UnitConfig) -> dict[str, Units]:
    """Find the labelled units of training, validation and test.

    Raises:
        UserError: a part has no recordings or no labels, or training lacks a class.
    """
    units = {
        part: find_units(opened.source, opened.reader, require_part(opened, part, data), config)
        for part in PARTS
    }
    train = units["train"]
    if train.kind != "regression":
        for name, count in zip(train.classes, (train.targets > 0).sum(axis=0), strict=True):
            if not count:
                raise ConfigError(
                    f"class {name!r} of task {config.task!r} is in no training recording of split "
                    f"{data.split!r}; leave it out with --config.units.classes=..., or divide "
                    "otherwise."
                )
    for part, some in units.items():
        _LOG.info(
            "%s: %d units of %d recordings; %s",
            *(part, len(some), len(np.unique(some.recording)), _counts(some)),
        )
    return units


def _counts(units: Units) -> str:
    if units.kind == "regression":
        return f"{units.classes[0]} {units.targets.mean():.3g} ± {units.targets.std():.3g}"
    counts = (units.targets > 0).sum(axis=0)
    return ", ".join(f"{n} {int(c)}" for n, c in zip(units.classes, counts, strict=True))


def standardised(units: Units, mean: np.ndarray, deviation: np.ndarray) -> Units:
    """Return units with standardised targets; of classes the targets stay 0 and 1."""
    if units.kind != "regression":
        return units
    targets = ((units.targets - mean) / deviation).astype(np.float32)
    return dataclasses.replace(units, targets=targets)


def card_context(
    config: ConfigDict, opened: OpenedData, units: Mapping[str, Units], contamination: str
) -> dict[str, Any]:
    """Return what an evaluation card says beside the figures."""
    environment = describe_environment(config, {})
    return {
        "title": f"{config.units.task} on {config.data.sets}",
        "command": shlex.join(["python", "-m", "physio_mae_jax.main", *sys.argv[1:]]),
        "versions": environment["versions"],
        "device": ", ".join(sorted({device.device_kind for device in jax.devices()})),
        "data": opened.content_hashes,
        "split": {"rule": opened.split.rule, "hash": opened.split.hash},
        "contamination": contamination,
        "seeds": {"training": config.seed, "split": config.data.split_seed},
        "label fraction": config.label_fraction,
        "training units": len(units["train"]),
        "checkpoint": config.start or config.weights or "from scratch",
        "model": config.architecture,
    }


def _window(config: ConfigDict) -> _Window:
    """Say what the model sees: what its encoder was trained on, unless told otherwise."""
    if config.architecture not in (MAE, *BASELINES):
        raise ConfigError(
            f"architecture is {config.architecture!r}; choose one of "
            f"{', '.join((MAE, *BASELINES))}."
        )
    begins = [name for name in ("start", "weights") if config[name]]
    if len(begins) > 1 or (begins and config.architecture != MAE):
        raise ConfigError(
            f"{' and '.join(begins)} with architecture {config.architecture!r}: one encoder to "
            f"begin with, of architecture {MAE!r}, is meant."
        )
    if begins:
        return _window_of_encoder(config)
    seconds = config.unit_seconds or config.window_seconds
    if config.architecture != MAE:
        samples = round(seconds * config.sampling_rate_hz)
        return _Window(config.sampling_rate_hz, samples, None, None)
    model = model_settings(config.model, seconds, config.sampling_rate_hz)
    check_attention(model)
    return _Window(model.sampling_rate_hz, model.num_samples, model, None)


def _window_of_encoder(config: ConfigDict) -> _Window:
    def load(num_samples: int | None) -> StartingEncoder:
        if config.start:
            return encoder_of_run(config.start, num_samples)
        return encoder_of_file(config.weights, config.weights_config, num_samples)

    start = load(None)
    if config.unit_seconds:
        wanted = round(config.unit_seconds * start.config.sampling_rate_hz)
        start = start if wanted == start.config.num_samples else load(wanted)
    check_attention(start.config)
    return _Window(start.config.sampling_rate_hz, start.config.num_samples, start.config, start)


def _fraction(opened: OpenedData, units: Units, config: ConfigDict) -> Units:
    subjects = [opened.source.recordings[int(i)].subject_key for i in units.recording]
    return choose_fraction(units, subjects, config.label_fraction, config.seed)


def _standard(units: Units) -> tuple[np.ndarray, np.ndarray]:
    count = units.targets.shape[1]
    if units.kind != "regression":
        return np.zeros(count), np.ones(count)
    return units.targets.mean(axis=0), np.maximum(units.targets.std(axis=0), 1e-6)


def _model(
    config: ConfigDict, window: _Window, units: Units, objective: SupervisedConfig
) -> tuple[Any, dict[str, Any]]:
    """Make the model, and what its checkpoints say of it."""
    num_outputs = units.targets.shape[1]
    if window.config is None:
        baseline = BASELINES[config.architecture]
        contract = {"model": dataclasses.asdict(baseline), "head": {"num_classes": num_outputs}}
        return ConvolutionalClassifier(baseline, num_outputs), contract
    head = typed(HeadConfig, "head", dict(config.head) | {"num_classes": num_outputs})
    if head.arcface and (units.kind != "multiclass" or objective.mixup):
        raise ConfigError(
            "head.arcface=True puts a margin on the one right class: it needs a task of exclusive "
            "classes and objective.mixup=0."
        )
    model = Classifier(window.config, head)
    return model, {"model": dataclasses.asdict(window.config), "head": dataclasses.asdict(head)}


def _task(
    config: ConfigDict,
    model: Any,
    window: _Window,
    units: Units,
    objective: SupervisedConfig,
    optimizer: OptimizerConfig,
    window_shape: tuple[int, int],
) -> SupervisedTask:
    multipliers = None
    depth = window.config.depth if window.config else 0
    if not -1 <= config.frozen_blocks <= depth or not 0 < config.layer_decay <= 1:
        raise ConfigError(
            f"frozen_blocks={config.frozen_blocks} must be from -1 to {depth}, the encoder's "
            f"blocks, and layer_decay={config.layer_decay} in (0, 1]."
        )
    if window.config is not None:
        channels, samples = window_shape
        shapes = jax.eval_shape(
            lambda: model.init(
                jax.random.key(0),
                jax.numpy.zeros((1, channels, samples)),
                jax.numpy.ones((1, channels), bool),
                jax.numpy.zeros((1, channels), jax.numpy.int32),
            )
        )["params"]
        decay = config.layer_decay if window.start else 1.0
        multipliers = depth_multipliers(shapes, decay, depth, config.frozen_blocks)
    return SupervisedTask(
        model=model,
        kind=units.kind,
        objective=objective,
        class_weights=class_weights(units.targets, units.kind, objective.balance),
        margin_on_labels=bool(config.head.arcface) and window.config is not None,
        frozen_encoder=bool(depth) and config.frozen_blocks == depth,
        average_decay=config.average_decay,
        optimizer=make_optimizer(optimizer, config.loop.num_steps, multipliers),
        learning_rate=learning_rate_schedule(optimizer, config.loop.num_steps),
    )
