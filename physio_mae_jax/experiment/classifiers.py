"""Models of labelled windows: what they see, what they begin with, and how they learn."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from physio_mae_jax.data.units import Units
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.encoders import StartingEncoder, encoder_of_file, encoder_of_run
from physio_mae_jax.experiment.environment import check_attention
from physio_mae_jax.experiment.settings import model_settings, typed
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.convolutional_classifier import ConvolutionalClassifier
from physio_mae_jax.models.heads import Classifier, HeadConfig
from physio_mae_jax.models.resnet import BASELINES
from physio_mae_jax.objectives.supervised import SupervisedConfig, class_weights
from physio_mae_jax.training.optimizer import (
    OptimizerConfig,
    depth_multipliers,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.supervised_step import SupervisedModel, SupervisedTask

MAE = "mae"


class Beginning(NamedTuple):
    """What a model sees, and what it begins with.

    Attributes:
        sampling_rate_hz, num_samples: of the windows.
        config: of the encoder; None for a convolutional baseline.
        start: the encoder to begin with; None to begin from scratch.
    """

    sampling_rate_hz: float
    num_samples: int
    config: MaeConfig | None
    start: StartingEncoder | None

    @property
    def depth(self) -> int:
        """Blocks of the encoder; 0 of a baseline."""
        return self.config.depth if self.config else 0


def choose_beginning(config: ConfigDict) -> Beginning:
    """Say what a model sees: what its encoder was trained on, unless told otherwise.

    Raises:
        UserError: settings contradict each other, or there is no such encoder.
    """
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
        return beginning_of_encoder(
            config.start, config.weights, config.weights_config, config.unit_seconds
        )
    seconds = config.unit_seconds or config.window_seconds
    if config.architecture != MAE:
        samples = round(seconds * config.sampling_rate_hz)
        return Beginning(config.sampling_rate_hz, samples, None, None)
    model = model_settings(config.model, seconds, config.sampling_rate_hz)
    check_attention(model)
    return Beginning(model.sampling_rate_hz, model.num_samples, model, None)


def beginning_of_encoder(
    run: str, weights: str, weights_config: str, window_seconds: float
) -> Beginning:
    """Load an encoder.

    Args:
        run: work folder of a pre-training, or '' for ``weights``.
        weights, weights_config: see ``encoders.encoder_of_file``.
        window_seconds: that it is to see; 0 for what it was trained on.

    Raises:
        UserError: there is no such encoder, or it cannot be fitted to the window.
    """

    def load(num_samples: int | None) -> StartingEncoder:
        if run or not weights:
            return encoder_of_run(run, num_samples)
        return encoder_of_file(weights, weights_config, num_samples)

    start = load(None)
    if window_seconds:
        wanted = round(window_seconds * start.config.sampling_rate_hz)
        start = start if wanted == start.config.num_samples else load(wanted)
    check_attention(start.config)
    return Beginning(start.config.sampling_rate_hz, start.config.num_samples, start.config, start)


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
    config: ConfigDict, beginning: Beginning, units: Units, num_channels: int
) -> tuple[SupervisedTask, dict[str, Any]]:
    """Make all that a step needs besides its state, and what checkpoints say of the model.

    Args:
        config: as ``configs/finetune.py`` makes it.
        beginning: of ``choose_beginning``.
        units: trained on.
        num_channels: M of the windows.

    Raises:
        ConfigError: a setting is out of range or contradicts another one.
    """
    objective = typed(SupervisedConfig, "objective", config.objective)
    optimizer = typed(OptimizerConfig, "optimizer", config.optimizer)
    model, contract = build_model(
        config.architecture, beginning.config, config.head, units.targets.shape[1]
    )
    multipliers = None
    if beginning.config is not None:
        _check_encoder_settings(config, beginning.depth)
        shapes = _shapes(model, num_channels, beginning.num_samples)
        decay = config.layer_decay if beginning.start else 1.0
        multipliers = depth_multipliers(shapes, decay, beginning.depth, config.frozen_blocks)
    arcface = bool(config.head.arcface) and beginning.config is not None
    if arcface and (units.kind != "multiclass" or objective.mixup):
        raise ConfigError(
            "head.arcface=True puts a margin on the one right class: it needs a task of exclusive "
            "classes and objective.mixup=0."
        )
    task = SupervisedTask(
        model=model,
        kind=units.kind,
        objective=objective,
        class_weights=class_weights(units.targets, units.kind, objective.balance),
        margin_on_labels=arcface,
        frozen_encoder=bool(beginning.depth) and config.frozen_blocks == beginning.depth,
        average_decay=config.average_decay,
        optimizer=make_optimizer(optimizer, config.loop.num_steps, multipliers),
        learning_rate=learning_rate_schedule(optimizer, config.loop.num_steps),
    )
    return task, contract


def _check_encoder_settings(config: ConfigDict, depth: int) -> None:
    if not -1 <= config.frozen_blocks <= depth or not 0 < config.layer_decay <= 1:
        raise ConfigError(
            f"frozen_blocks={config.frozen_blocks} must be from -1 to {depth}, the encoder's "
            f"blocks, and layer_decay={config.layer_decay} in (0, 1]."
        )


def _shapes(model: Any, num_channels: int, num_samples: int) -> Any:
    """Return the shapes of the parameters."""
    windows = (
        jnp.zeros((1, num_channels, num_samples)),
        jnp.ones((1, num_channels), bool),
        jnp.zeros((1, num_channels), jnp.int32),
    )
    return jax.eval_shape(lambda: model.init(jax.random.key(0), *windows))["params"]
