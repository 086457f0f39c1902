"""Models of labeled windows: their input, their initial weights and their training step."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import optax

from physio_mae_jax.data.instances import Instances, ProblemType
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.configs import FinetuneConfig
from physio_mae_jax.experiment.model_section import count_window_samples
from physio_mae_jax.experiment.pretrained_encoders import (
    PretrainedEncoder,
    load_encoder,
    load_torch_encoder,
)
from physio_mae_jax.experiment.run_metadata import check_attention
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads import HEADS, SAMPLE_HEADS
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.models.heads.segmenter import Segmenter
from physio_mae_jax.models.resnet import BASELINES
from physio_mae_jax.models.resnet_classifier import ConvolutionalClassifier
from physio_mae_jax.objectives.auxiliary import AuxiliaryOutputs
from physio_mae_jax.objectives.supervised import class_weights
from physio_mae_jax.training.lora import LoraConfig
from physio_mae_jax.training.optimizer import (
    layerwise_lr_scale,
    learning_rate_schedule,
    make_optimizer,
)
from physio_mae_jax.training.supervised_step import (
    SupervisedModel,
    SupervisedSpec,
    init_training,
)
from physio_mae_jax.types import FlaxModel, JsonObject, Params

MAE = "mae"


class EncoderInit(NamedTuple):
    """Input window of a model, and its initial weights.

    Attributes:
        sampling_rate_hz, num_samples: Sampling rate (Hz) and length L (samples) of a window.
        config: Encoder configuration; None for a convolutional baseline.
        pretrained: Pre-trained encoder; None to train from scratch.
    """

    sampling_rate_hz: float
    num_samples: int
    config: MaeConfig | None
    pretrained: PretrainedEncoder | None

    @property
    def depth(self) -> int:
        """Number of encoder blocks; 0 for a baseline."""
        return self.config.depth if self.config else 0


def resolve_init(config: FinetuneConfig) -> EncoderInit:
    """Return input window and initial weights: the window of the encoder, unless configured.

    Raises:
        UserError: Settings contradict each other, or the encoder does not exist.
    """
    if config.architecture not in (MAE, *BASELINES):
        raise ConfigError(
            f"architecture must be one of {', '.join((MAE, *BASELINES))}; "
            f"got {config.architecture!r}."
        )
    if config.init_from or config.torch_weights:
        if config.architecture != MAE:
            raise ConfigError(
                f"architecture {config.architecture!r} takes no pre-trained encoder; remove "
                f"init_from and torch_weights, or set architecture={MAE!r}."
            )
        return init_from_encoder(
            config.init_from,
            config.torch_weights,
            config.torch_config,
            config.labels.window_seconds,
        )
    seconds = config.labels.window_seconds or config.window_seconds
    if config.architecture != MAE:
        samples = count_window_samples(seconds, config.sampling_rate_hz)
        return EncoderInit(config.sampling_rate_hz, samples, None, None)
    model = config.model_from_scratch()
    check_attention(model)
    return EncoderInit(model.sampling_rate_hz, model.num_samples, model, None)


def init_from_encoder(
    init_from: str, torch_weights: str, torch_config: str, window_seconds: float
) -> EncoderInit:
    """Load an encoder.

    Args:
        init_from: Name of a shipped model, work folder of a pre-training run, or folder of
            ``Encoder.save_pretrained``; '' to use ``torch_weights``.
        torch_weights, torch_config: Paths of a weight file and its constructor arguments.
        window_seconds: Length of the input window (s); 0 for the length trained on.

    Raises:
        UserError: The encoder does not exist, both are set, or it does not fit the window.
    """
    if init_from and torch_weights:
        raise ConfigError(
            f"exactly one encoder must be set; got both init_from={init_from!r} and "
            f"torch_weights={torch_weights!r}; "
            "remove one of them."
        )
    if torch_weights:
        start = load_torch_encoder(torch_weights, torch_config, window_seconds)
    else:
        start = load_encoder(init_from, window_seconds)
    return EncoderInit(start.config.sampling_rate_hz, start.config.num_samples, start.config, start)


def build_classifier(
    architecture: str,
    encoder: MaeConfig | None,
    head: HeadConfig,
    num_outputs: int,
    kind: ProblemType,
) -> tuple[SupervisedModel, JsonObject]:
    """Make the model, and the model_spec stored in its checkpoints.

    Args:
        architecture: 'mae' or the name of a convolutional baseline.
        encoder: Encoder configuration, for 'mae'.
        head: Settings of the head; a baseline has its own head.
        num_outputs: Number of outputs Y.
        kind: Kind of the task; 'segmentation' has a class for every sample.

    Raises:
        ConfigError: The architecture or the head has no outputs for samples.
    """
    if kind == "segmentation":
        _check_sample_outputs(architecture, head)
    elif head.kind not in HEADS:
        raise ConfigError(
            f"head.kind={head.kind!r} is for tasks that label samples; choose one of "
            f"{', '.join(HEADS)}."
        )
    if encoder is None:
        baseline = BASELINES[architecture]
        model_spec = {"model": dataclasses.asdict(baseline), "head": {"num_classes": num_outputs}}
        return ConvolutionalClassifier(baseline, num_outputs), model_spec
    settings = dataclasses.replace(head, num_classes=num_outputs)
    model_spec = {"model": dataclasses.asdict(encoder), "head": dataclasses.asdict(settings)}
    if kind == "segmentation":
        return Segmenter(encoder, settings), model_spec
    return Classifier(encoder, settings), model_spec


def _check_sample_outputs(architecture: str, head: HeadConfig) -> None:
    """Raise unless a model has outputs for every sample."""
    if architecture != MAE:
        raise ConfigError(
            f"architecture {architecture!r} has no outputs for samples, which a task of level "
            f"'sample' labels; set architecture={MAE!r}."
        )
    if head.kind not in SAMPLE_HEADS or head.arcface:
        raise ConfigError(
            f"head.kind={head.kind!r} with head.arcface={head.arcface} summarizes windows; a task "
            f"of level 'sample' needs head.kind={' or '.join(map(repr, SAMPLE_HEADS))} and "
            "head.arcface=False."
        )


def build_supervised_spec(
    config: FinetuneConfig, encoder_init: EncoderInit, instances: Instances, num_channels: int
) -> tuple[SupervisedSpec, JsonObject]:
    """Build the static parts of a training step, and the model_spec stored in checkpoints.

    Args:
        config: Settings of the fine-tuning.
        encoder_init: Input and initial weights, from ``resolve_init``.
        instances: Training instances.
        num_channels: Number of channels M of a window.

    Raises:
        ConfigError: A setting is out of range or contradicts another one.
    """
    _check_learning(config, encoder_init, instances.kind)
    encoder = encoder_init.config
    if encoder is not None:
        encoder = dataclasses.replace(encoder, drop_path_rate=config.drop_path_rate)
    head = dataclasses.replace(config.head, event_offset=config.labels.event_offset)
    num_outputs, auxiliary = instances.targets.shape[1], None
    build = functools.partial(build_classifier, config.architecture, encoder, head)
    model, model_spec = build(num_outputs, instances.kind)
    training_model = model
    if instances.auxiliary is not None:
        auxiliary = AuxiliaryOutputs(
            instances.auxiliary.kind, len(instances.auxiliary.classes), config.auxiliary.weight
        )
        training_model, _ = build(num_outputs + auxiliary.num_outputs, instances.kind)
    shapes = _shapes(training_model, config.lora, num_channels, encoder_init.num_samples)
    balance = config.objective.balance
    task = SupervisedSpec(
        model=model,
        kind=instances.kind,
        objective=config.objective,
        class_weights=class_weights(instances.targets, instances.kind, balance),
        margin_on_labels=bool(config.head.arcface),
        frozen_encoder=bool(config.lora.rank)
        or (bool(encoder_init.depth) and config.frozen_blocks == encoder_init.depth),
        ema_decay=config.ema_decay,
        optimizer=_optimizer(config, encoder_init, shapes),
        learning_rate=learning_rate_schedule(config.optimizer, config.loop.num_steps),
        training_model=training_model if auxiliary else None,
        auxiliary=auxiliary,
        lora=config.lora,
    )
    return task, model_spec


def _optimizer(
    config: FinetuneConfig, encoder_init: EncoderInit, shapes: Params
) -> optax.GradientTransformation:
    """Build the optimizer of parameters with the given shapes."""
    pretrained, multipliers, trained = encoder_init.pretrained, None, None
    if encoder_init.config is not None:
        decay = config.layer_decay if pretrained else 1.0
        multipliers = layerwise_lr_scale(
            *(shapes, decay, encoder_init.depth, config.frozen_blocks),
            encoder_scale=config.encoder_lr_scale if pretrained else 1.0,
            attention_every=encoder_init.config.attention_every,
        )
    if config.lora.rank:
        trained = {
            part: jax.tree.map(lambda _, is_trained=part != "encoder": is_trained, tree)
            for part, tree in shapes.items()
        }
    return make_optimizer(
        config.optimizer,
        config.loop.num_steps,
        multipliers,
        config.head_only_steps if pretrained else 0,
        trained,
    )


def _check_learning(config: FinetuneConfig, encoder_init: EncoderInit, kind: str) -> None:
    """Raise on settings that are out of range, contradictory or without effect."""
    depth, objective = encoder_init.depth, config.objective
    if depth and not (-1 <= config.frozen_blocks <= depth and 0 < config.layer_decay <= 1):
        raise ConfigError(
            f"frozen_blocks must be in [-1, {depth}] (the encoder has {depth} blocks) and "
            f"layer_decay in (0, 1]; got {config.frozen_blocks} and {config.layer_decay}."
        )
    if not 0 <= config.ema_decay < 1:
        raise ConfigError(f"ema_decay must be in [0, 1); got {config.ema_decay}.")
    if config.head.arcface and (not depth or kind != "multiclass" or objective.mixup):
        raise ConfigError(
            "head.arcface=True adds a margin to the single true class: it needs "
            f"architecture={MAE!r}, a task of exclusive classes and objective.mixup=0."
        )
    if config.head.arcface and config.auxiliary.task:
        raise ConfigError(
            f"auxiliary.task={config.auxiliary.task!r} adds outputs to a linear layer, which "
            "head.arcface=True replaces by angles; set head.arcface=False or auxiliary.task=''."
        )
    _check_lora(config, encoder_init)
    classification_settings = (
        *(objective.focal_gamma, objective.label_smoothing, objective.balance != "none"),
        config.balanced_sampling,
    )
    if kind == "segmentation":
        _check_sample_learning(config)
    if kind == "regression" and any(classification_settings):
        raise ConfigError(
            f"task {config.labels.task!r} is a regression target; objective.focal_gamma, "
            "label_smoothing and balance, and balanced_sampling are for classification only."
        )


def _check_lora(config: FinetuneConfig, encoder_init: EncoderInit) -> None:
    """Raise on settings that adapters contradict."""
    rank = config.lora.rank
    if not rank:
        return
    if encoder_init.pretrained is None or encoder_init.config is None:
        raise ConfigError(
            f"lora.rank={rank} trains adapters of a pre-trained encoder, but there is none; name "
            "one with init_from, or set lora.rank=0."
        )
    if config.frozen_blocks != -1:
        raise ConfigError(
            f"lora.rank={rank} freezes the whole encoder and trains adapters in all blocks; got "
            f"frozen_blocks={config.frozen_blocks}. Set frozen_blocks=-1 or lora.rank=0."
        )
    if rank >= encoder_init.config.width:
        raise ConfigError(
            f"lora.rank={rank} must be below the width of the encoder, "
            f"{encoder_init.config.width}; 4 to 16 are usual."
        )


def _check_sample_learning(config: FinetuneConfig) -> None:
    """Raise on settings that labels of samples do not follow."""
    speed = tuple(config.data.speed_perturbation)
    invalid = (
        ("objective.mixup", config.objective.mixup, 0.0, "it mixes the labels of windows"),
        ("balanced_sampling", config.balanced_sampling, False, "use objective.balance for samples"),
        ("data.speed_perturbation", speed, (1.0, 1.0), "labels would not follow the samples"),
    )
    for name, value, required, reason in invalid:
        if value != required:
            raise ConfigError(
                f"{name} is {value}, but task {config.labels.task!r} labels samples ({reason}); "
                f"set {name}={required}."
            )


def _shapes(model: FlaxModel, lora: LoraConfig, num_channels: int, num_samples: int) -> Params:
    """Return the shapes of the parameters that are trained."""
    window_shape = num_channels, num_samples
    return jax.eval_shape(lambda: init_training(model, lora, jax.random.key(0), window_shape))[0]
