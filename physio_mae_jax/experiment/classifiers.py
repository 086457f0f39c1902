"""Models of labelled windows: what they see, what they begin with, and how they learn."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from physio_mae_jax.data.instances import Units
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.pretrained_encoders import (
    PretrainedEncoder,
    encoder_of_file,
    encoder_of_run,
)
from physio_mae_jax.experiment.run_metadata import check_attention
from physio_mae_jax.experiment.settings import model_settings, typed, whole_samples
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads import Classifier, HeadConfig
from physio_mae_jax.models.resnet import BASELINES
from physio_mae_jax.models.resnet_classifier import ConvolutionalClassifier
from physio_mae_jax.objectives.supervised import SupervisedConfig, class_weights
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    layerwise_lr_scale,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.supervised_step import SupervisedModel, SupervisedTask

MAE = "mae"


class EncoderInit(NamedTuple):
    """What a model sees, and what it begins with.

    Attributes:
        sampling_rate_hz, num_samples: of the windows.
        config: of the encoder; None for a convolutional baseline.
        start: the encoder to begin with; None to begin from scratch.
    """

    sampling_rate_hz: float
    num_samples: int
    config: MaeConfig | None
    start: PretrainedEncoder | None

    @property
    def depth(self) -> int:
        """Blocks of the encoder; 0 of a baseline."""
        return self.config.depth if self.config else 0


def resolve_init(config: ConfigDict) -> EncoderInit:
    """Say what a model sees: what its encoder was trained on, unless told otherwise.

    Raises:
        UserError: settings contradict each other, or there is no such encoder.
    """
    if config.architecture not in (MAE, *BASELINES):
        raise ConfigError(
            f"architecture is {config.architecture!r}; choose one of "
            f"{', '.join((MAE, *BASELINES))}."
        )
    if config.start or config.weights:
        if config.architecture != MAE:
            raise ConfigError(
                f"architecture {config.architecture!r} has no encoder to begin with; leave out "
                f"start and weights, or choose architecture {MAE!r}."
            )
        return init_from_encoder(
            config.start, config.weights, config.weights_config, config.instance_seconds
        )
    seconds = config.instance_seconds or config.window_seconds
    if config.architecture != MAE:
        samples = whole_samples(seconds, config.sampling_rate_hz)
        return EncoderInit(config.sampling_rate_hz, samples, None, None)
    model = model_settings(config.model, seconds, config.sampling_rate_hz)
    check_attention(model)
    return EncoderInit(model.sampling_rate_hz, model.num_samples, model, None)


def init_from_encoder(
    run: str, weights: str, weights_config: str, window_seconds: float
) -> EncoderInit:
    """Load an encoder.

    Args:
        run: work folder of a pre-training, or '' for ``weights``.
        weights, weights_config: see ``encoders.encoder_of_file``.
        window_seconds: that it is to see; 0 for what it was trained on.

    Raises:
        UserError: there is no such encoder, there are two, or it cannot be fitted to the window.
    """
    if run and weights:
        raise ConfigError(
            f"there is one encoder too many: that of the run {run!r} and that of the weights "
            f"{weights!r}; leave out one of them."
        )
    if weights:
        start = encoder_of_file(weights, weights_config, window_seconds)
    else:
        start = encoder_of_run(run, window_seconds)
    return EncoderInit(start.config.sampling_rate_hz, start.config.num_samples, start.config, start)


def build_model(
    architecture: str, encoder: MaeConfig | None, head: Mapping[str, Any], num_outputs: int
) -> tuple[SupervisedModel, dict[str, Any]]:
    """Make the model, and what its checkpoints say of it.

    Args:
        architecture: 'mae' or a convolutional baseline.
        encoder: of 'mae'.
        head: settings of its head; a baseline has its own.
        num_outputs: K.
    """
    if encoder is None:
        baseline = BASELINES[architecture]
        contract = {"model": dataclasses.asdict(baseline), "head": {"num_classes": num_outputs}}
        return ConvolutionalClassifier(baseline, num_outputs), contract
    settings = typed(HeadConfig, "head", dict(head) | {"num_classes": num_outputs})
    contract = {"model": dataclasses.asdict(encoder), "head": dataclasses.asdict(settings)}
    return Classifier(encoder, settings), contract


def build_task(
    config: ConfigDict, beginning: EncoderInit, units: Units, num_channels: int
) -> tuple[SupervisedTask, dict[str, Any]]:
    """Make all that a step needs besides its state, and what checkpoints say of the model.

    Args:
        config: as ``configs/finetune.py`` makes it.
        beginning: of ``resolve_init``.
        units: trained on.
        num_channels: M of the windows.

    Raises:
        ConfigError: a setting is out of range or contradicts another one.
    """
    objective = typed(SupervisedConfig, "objective", config.objective)
    optimizer = typed(OptimizerConfig, "optimizer", config.optimizer)
    _check_learning(config, beginning, units.kind)
    model, contract = build_model(
        config.architecture, beginning.config, config.head, units.targets.shape[1]
    )
    multipliers = None
    if beginning.config is not None:
        shapes = _shapes(model, num_channels, beginning.num_samples)
        decay = config.layer_decay if beginning.start else 1.0
        multipliers = layerwise_lr_scale(shapes, decay, beginning.depth, config.frozen_blocks)
    task = SupervisedTask(
        model=model,
        kind=units.kind,
        objective=objective,
        class_weights=class_weights(units.targets, units.kind, objective.balance),
        margin_on_labels=bool(config.head.arcface),
        frozen_encoder=bool(beginning.depth) and config.frozen_blocks == beginning.depth,
        ema_decay=config.ema_decay,
        optimizer=make_optimizer(optimizer, config.loop.num_steps, multipliers),
        learning_rate=learning_rate_schedule(optimizer, config.loop.num_steps),
    )
    return task, contract


def _check_learning(config: ConfigDict, beginning: EncoderInit, kind: str) -> None:
    """Refuse settings that are out of range, contradict each other or would change nothing."""
    depth, objective = beginning.depth, config.objective
    if depth and not (-1 <= config.frozen_blocks <= depth and 0 < config.layer_decay <= 1):
        raise ConfigError(
            f"frozen_blocks={config.frozen_blocks} must be from -1 to {depth}, the encoder's "
            f"blocks, and layer_decay={config.layer_decay} in (0, 1]."
        )
    if not 0 <= config.ema_decay < 1:
        raise ConfigError(f"ema_decay is {config.ema_decay}; it must be in [0, 1).")
    if config.head.arcface and (not depth or kind != "multiclass" or objective.mixup):
        raise ConfigError(
            "head.arcface=True puts a margin on the one right class: it needs the architecture "
            f"{MAE!r}, a task of exclusive classes and objective.mixup=0."
        )
    of_classes = (
        *(objective.focal_gamma, objective.label_smoothing, objective.balance != "none"),
        config.balanced_sampling,
    )
    if kind == "regression" and any(of_classes):
        raise ConfigError(
            f"task {config.units.task!r} is a number and no class: leave out "
            "objective.focal_gamma, label_smoothing and balance, and balanced_sampling."
        )


def _shapes(model: Any, num_channels: int, num_samples: int) -> Any:
    """Return the shapes of the parameters."""
    windows = (
        jnp.zeros((1, num_channels, num_samples)),
        jnp.ones((1, num_channels), bool),
        jnp.zeros((1, num_channels), jnp.int32),
    )
    return jax.eval_shape(lambda: model.init(jax.random.key(0), *windows))["params"]
