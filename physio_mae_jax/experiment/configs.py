"""Config trees that several commands share: pre-training, fine-tuning, probes."""

import dataclasses

from physio_mae_jax.data.instances import LabelConfig
from physio_mae_jax.data.opening import DataConfig
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.protocol import EvaluationConfig
from physio_mae_jax.experiment.model_section import ModelSection
from physio_mae_jax.experiment.typed_config import ExperimentConfig
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.objectives.auxiliary import AuxiliaryConfig
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.objectives.supervised import SupervisedConfig
from physio_mae_jax.training.loop import LoopConfig
from physio_mae_jax.training.lora import LoraConfig
from physio_mae_jax.training.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainConfig(ExperimentConfig):
    """Settings of a pre-training; ``configs/pretrain.py`` explains each."""

    seed: int
    num_devices: int
    fsdp: int
    batch_size: int
    accumulation_steps: int
    sampling_rate_hz: float
    window_seconds: float
    data: DataConfig
    model: ModelSection
    objective: ObjectiveConfig
    contrastive: ContrastiveConfig
    optimizer: OptimizerConfig
    loop: LoopConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabeledConfig(ExperimentConfig):
    """Settings shared by commands that learn from labels; see ``configs/finetune.py``.

    Attributes:
        model, sampling_rate_hz, window_seconds: Those of an encoder from scratch; absent if another
            command, such as a comparison, provides the encoder.
    """

    seed: int
    num_devices: int
    batch_size: int
    init_from: str
    torch_weights: str = ""
    torch_config: str = ""
    sampling_rate_hz: float = 0.0
    window_seconds: float = 0.0
    model: ModelSection | None = None
    data: DataConfig
    labels: LabelConfig
    label_fraction: float
    evaluation: EvaluationConfig

    @property
    def origin(self) -> str:
        """Run or weights that the encoder comes from; '' from scratch."""
        return self.init_from or self.torch_weights

    def model_from_scratch(self) -> MaeConfig:
        """Return the model of the settings, for windows of the labels or of the settings."""
        if self.model is None:
            raise ConfigError("model is missing; give its section of settings.")
        seconds = self.labels.window_seconds or self.window_seconds
        return self.model.for_window(seconds, self.sampling_rate_hz)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneConfig(LabeledConfig):
    """Settings of a fine-tuning; ``configs/finetune.py`` explains each."""

    fsdp: int
    architecture: str
    balanced_sampling: bool
    head: HeadConfig
    objective: SupervisedConfig
    optimizer: OptimizerConfig
    layer_decay: float
    encoder_lr_scale: float = 1.0
    head_only_steps: int = 0
    drop_path_rate: float = 0.0
    frozen_blocks: int
    ema_decay: float
    loop: LoopConfig
    patience: int
    auxiliary: AuxiliaryConfig = dataclasses.field(default_factory=AuxiliaryConfig)
    lora: LoraConfig = dataclasses.field(default_factory=LoraConfig)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig(LabeledConfig):
    """Settings of a probe; ``configs/evaluate.py`` explains each."""

    method: str
    encoders: str
    refit: bool

    @property
    def encoder_names(self) -> list[str]:
        """Names in ``encoders``."""
        return [name.strip() for name in self.encoders.split(",") if name.strip()]
