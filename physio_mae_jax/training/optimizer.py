"""AdamW with warm-up, cosine decay and clipping."""

import dataclasses
from typing import Any

import jax
import optax

from physio_mae_jax.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Settings of AdamW and its schedule.

    Attributes:
        peak_learning_rate: reached after the warm-up; never scaled behind your back by the batch
            size or the number of devices (defect D22).
        end_learning_rate: reached at the last step.
        warmup_steps: linear from 0.
        weight_decay: on weights of linear and smoothing layers only.
        clip_norm: of the gradient over all parameters.
        beta1, beta2: decay of the two moments.
    """

    peak_learning_rate: float
    end_learning_rate: float = 1e-6
    warmup_steps: int = 0
    weight_decay: float = 0.05
    clip_norm: float = 3.0
    beta1: float = 0.9
    beta2: float = 0.95

    def __post_init__(self) -> None:
        if self.peak_learning_rate <= 0 or self.end_learning_rate < 0:
            raise ConfigError(
                f"optimizer.peak_learning_rate={self.peak_learning_rate} must be above 0 and "
                f"optimizer.end_learning_rate={self.end_learning_rate} not below."
            )
        if self.clip_norm <= 0:
            raise ConfigError(f"optimizer.clip_norm is {self.clip_norm}; it must be above 0.")


def learning_rate_schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """Rise linearly over the warm-up, then fall along half a cosine to the last step.

    Raises:
        ConfigError: the warm-up is as long as the run.
    """
    if not 0 <= config.warmup_steps < num_steps:
        raise ConfigError(
            f"optimizer.warmup_steps={config.warmup_steps} must be at least 0 and below "
            f"num_steps={num_steps}."
        )
    return optax.warmup_cosine_decay_schedule(
        0.0 if config.warmup_steps else config.peak_learning_rate,
        config.peak_learning_rate,
        config.warmup_steps,
        num_steps,
        config.end_learning_rate,
    )


def decayed(params: Any) -> Any:
    """Mark what weight decay applies to: kernels; not biases, norms, positions or tokens."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: getattr(path[-1], "key", None) == "kernel", params
    )


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """Build the optimizer for a run of ``num_steps``."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            learning_rate_schedule(config, num_steps),
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=decayed,
        ),
    )
