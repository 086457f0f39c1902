"""AdamW with warm-up, cosine decay and clipping."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.layer_plan import LayerPlan
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.training.lora import ADAPTERS
from physio_mae_jax.types import Params, PyTree

_ENCODER_GROUPS = ("encoder", ADAPTERS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Settings of AdamW and its schedule.

    Attributes:
        peak_learning_rate: Learning rate after the warm-up; never scaled implicitly by the batch
            size or the number of devices (models.md#optimizer).
        end_learning_rate: Learning rate at the last step.
        warmup_steps: Number of steps of linear increase from 0.
        weight_decay: Weight decay, of weights of linear and smoothing layers only.
        clip_norm: Maximum norm of the gradient over all parameters.
        beta1, beta2: Decay rates of the two moments.
    """

    peak_learning_rate: float
    end_learning_rate: float = 1e-6
    warmup_steps: int = 0
    weight_decay: float = 0.05
    clip_norm: float = 3.0
    beta1: float = 0.9
    beta2: float = 0.95

    def __post_init__(self) -> None:
        check_fields(self, "optimizer")


def learning_rate_schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """Increase linearly over the warm-up, then decay along half a cosine to the last step.

    Raises:
        ConfigError: The warm-up is as long as the run.
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


def weight_decay_mask(params: Params) -> PyTree:
    """Select the parameters with weight decay: kernels; not biases, norms, positions or tokens."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: getattr(path[-1], "key", None) == "kernel", params
    )


def make_optimizer(
    config: OptimizerConfig,
    num_steps: int,
    multipliers: PyTree = None,
    head_only_steps: int = 0,
    trained: PyTree = None,
) -> optax.GradientTransformation:
    """Build the optimizer for a run of ``num_steps``.

    Args:
        config: Settings of AdamW.
        num_steps: Number of steps of the run.
        multipliers: Multiplier of the learning rate of each parameter, see
            ``layerwise_lr_scale``; None for a common rate.
        head_only_steps: Number of steps at first in which the encoder does not change.
        trained: True for each trained parameter, so that the others have no moments; None for all.
            The gradient of the others must be 0.
    """
    scaling = [] if multipliers is None else [scale_updates(multipliers)]
    if head_only_steps:
        scaling.append(hold_encoder(head_only_steps, config.warmup_steps))
    adamw = (
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            learning_rate_schedule(config, num_steps),
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=weight_decay_mask,
        ),
    )
    if trained is not None:
        return optax.chain(optax.masked(optax.chain(*adamw), trained), *scaling)
    return optax.chain(*adamw, *scaling)


def layerwise_lr_scale(
    params: Params,
    layer_decay: float,
    num_blocks: int,
    frozen_blocks: int = -1,
    encoder_scale: float = 1.0,
    attention_every: int = 0,
) -> PyTree:
    """Return the learning-rate multiplier of each parameter, which depends on its depth.

    The head trains at the full rate, block i of the encoder at ``layer_decay`` to the power
    ``num_blocks - i``, the layers before the blocks at the power ``num_blocks + 1`` (Clark et al.
    2020; intended in the original, which gave all parameters one rate, models.md#optimizer).

    Args:
        params: Parameters of a model whose encoder is under 'encoder', with its blocks stacked on
            leading axes under 'encoder/stack', see ``LayerPlan``. Adapters have the rates of what
            they are added to.
        layer_decay: Decay of the learning rate per block; 1 for a common rate.
        num_blocks: Number of blocks of the encoder.
        frozen_blocks: -1 trains everything; 0 freezes only the layers before the blocks; k > 0
            freezes these and the first k blocks; ``num_blocks`` freezes the whole encoder.
        encoder_scale: Multiplier of the whole encoder.
        attention_every: As in the ``MaeConfig`` of the encoder.

    Returns:
        Multiplier of the update of each parameter, an array or a scalar.
    """
    block = encoder_scale * layer_decay ** (num_blocks - np.arange(num_blocks, dtype=np.float32))
    block[: max(0, frozen_blocks)] = 0.0
    before = encoder_scale * layer_decay ** (num_blocks + 1) if frozen_blocks < 0 else 0.0
    after = encoder_scale if frozen_blocks < num_blocks else 0.0

    layers = LayerPlan(num_blocks, attention_every).layers()

    def multiplier(path: tuple[object, ...], leaf: jax.Array) -> np.ndarray:
        names = [str(getattr(key, "key", key)) for key in path]
        if names[0] not in _ENCODER_GROUPS:
            return np.asarray(1.0, np.float32)
        for kind, numbers in layers.items():
            if names[1 : 2 + len(kind)] == ["stack", *kind]:
                return block[numbers].reshape(numbers.shape + (1,) * (leaf.ndim - numbers.ndim))
        return np.asarray(after if names[1] == "stack" else before, np.float32)

    return jax.tree_util.tree_map_with_path(multiplier, params)


def hold_encoder(num_steps: int, warmup_steps: int) -> optax.GradientTransformation:
    """Freeze the encoder and its adapters for some steps, then raise their rate linearly.

    A new head first fits the features as they are, so that its random weights do not distort them
    (Kumar et al. 2022).

    Args:
        num_steps: Number of steps without an update of the encoder.
        warmup_steps: Number of steps of the linear increase that follows.
    """

    def update(
        updates: Params, state: optax.ScaleByScheduleState, params: Params | None = None
    ) -> tuple[Params, optax.ScaleByScheduleState]:
        del params
        share = jnp.clip((state.count - num_steps + 1) / max(1, warmup_steps), 0.0, 1.0)
        held = {
            name: jax.tree.map(lambda update: update * share, updates[name])
            for name in _ENCODER_GROUPS
            if name in updates
        }
        return updates | held, optax.ScaleByScheduleState(state.count + 1)

    return optax.GradientTransformation(
        lambda params: optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)), update
    )


def scale_updates(multipliers: PyTree) -> optax.GradientTransformation:
    """Multiply each update, weight decay included: 0 freezes a parameter."""
    return optax.stateless(
        lambda updates, params: jax.tree.map(lambda u, m: u * m, updates, multipliers)
    )
