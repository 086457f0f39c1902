"""The loss of an auxiliary task, whose outputs are beside those of the task (Caruana 1997)."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from physio_mae_jax.objectives.supervised import SupervisedConfig, supervised_losses
from physio_mae_jax.setting_ranges import check_fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuxiliaryConfig:
    """A second task that is trained jointly and never evaluated.

    Attributes:
        task: Name of a task of the data sets that labels recordings; '' for none.
        weight: Weight of its loss relative to that of the task.
    """

    task: str = ""
    weight: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, "auxiliary")


class AuxiliaryOutputs(NamedTuple):
    """Outputs of the auxiliary task, the last ones of the model in training.

    Attributes:
        kind: Kind of the task.
        num_outputs: Number of outputs A.
        weight: Weight of the loss.
    """

    kind: Literal["multilabel", "multiclass"]
    num_outputs: int
    weight: float


def auxiliary_loss(
    logits: jax.Array,
    targets: jax.Array,
    known: jax.Array,
    outputs: AuxiliaryOutputs,
    config: SupervisedConfig,
) -> jax.Array:
    """Return the mean loss of the windows with a label, 0 if there are none.

    Args:
        logits: [B, A].
        targets: [B, A]; any value where the label is unknown.
        known: [B] bool.
        outputs: Kind of the task.
        config: Label smoothing and focal loss, as for the task; classes have equal weights.
    """
    weights = jnp.ones(logits.shape[-1])
    losses = supervised_losses(logits, targets, outputs.kind, weights, config)
    return jnp.where(known, losses, 0.0).sum() / jnp.maximum(known.sum(), 1)
