"""Losses of labelled windows: several classes at once, one of several, or numbers."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.setting_ranges import check_fields

TaskKind = Literal["multilabel", "multiclass", "regression"]
BALANCES = ("none", "inverse", "effective")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """How labelled windows are learned from.

    Attributes:
        focal_gamma: weigh each term by (1 - p)^gamma, p being the probability of what is right
            (Lin et al. 2017); 0 for plain cross entropy.
        label_smoothing: share of a label spread over all classes (or towards 1/2).
        balance: weigh classes alike ('none'), by the 'inverse' of their number, or by the inverse
            of their 'effective' number (Cui et al. 2019).
        mixup: alpha of the beta distribution that windows are mixed by (Zhang et al. 2018); 0 for
            none.
    """

    focal_gamma: float = 0.0
    label_smoothing: float = 0.0
    balance: str = "none"
    mixup: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "objective")


def class_weights(
    targets: np.ndarray, kind: TaskKind, balance: str, beta: float = 0.999
) -> np.ndarray:
    """Weigh classes by how often they are trained on.

    Args:
        targets: [U, K] 0 or 1, of the training units.
        kind: 'multilabel': the weight is that of the positives of each class; 'multiclass': of
            the units of each class.
        balance: of ``SupervisedConfig``.
        beta: of the effective number (1 - beta^n) / (1 - beta).

    Returns:
        [K] float32: for 'multiclass' with mean 1 over the units; for 'multilabel' what makes
        positives weigh as much as negatives ('inverse'), or a milder form of it ('effective').
        Ones for 'none' and for regression. A class without units has weight 1.
    """
    if balance == "none" or kind == "regression":
        return np.ones(targets.shape[1], np.float32)

    def number(count: np.ndarray) -> np.ndarray:
        counted = np.maximum(count, 1.0)
        return counted if balance == "inverse" else (1 - beta**counted) / (1 - beta)

    positives = targets.sum(axis=0)
    if kind == "multilabel":
        weights = number(len(targets) - positives) / number(positives)
    else:
        weights = 1 / number(positives)
        weights *= positives.sum() / np.maximum((weights * positives).sum(), 1e-12)
    return np.where(positives > 0, weights, 1.0).astype(np.float32)


def supervised_losses(
    logits: jax.Array,
    targets: jax.Array,
    kind: TaskKind,
    weights: jax.Array,
    config: SupervisedConfig,
) -> jax.Array:
    """Return the loss of each window.

    Args:
        logits: [B, K] float32; predictions of standardised targets for 'regression'.
        targets: [B, K]; rows of 'multiclass' sum to 1 (mixed windows have several classes).
        kind: of the task.
        weights: [K] of ``class_weights``.
        config: smoothing and focus.

    Returns:
        [B] float32.
    """
    if kind == "regression":
        return jnp.square(logits - targets).mean(axis=-1)
    if kind == "multilabel":
        return _binary(logits, targets, weights, config).mean(axis=-1)
    return _categorical(logits, targets, weights, config)


def _binary(
    logits: jax.Array, targets: jax.Array, weights: jax.Array, config: SupervisedConfig
) -> jax.Array:
    smooth = targets * (1 - config.label_smoothing) + 0.5 * config.label_smoothing
    log_yes, log_no = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    yes, no = -log_yes, -log_no
    if config.focal_gamma:
        yes, no = (
            yes * jnp.exp(config.focal_gamma * log_no),
            no * jnp.exp(config.focal_gamma * log_yes),
        )
    return smooth * weights * yes + (1 - smooth) * no


def _categorical(
    logits: jax.Array, targets: jax.Array, weights: jax.Array, config: SupervisedConfig
) -> jax.Array:
    smooth = targets * (1 - config.label_smoothing) + config.label_smoothing / logits.shape[-1]
    log_probability = jax.nn.log_softmax(logits)
    terms = -log_probability
    if config.focal_gamma:
        terms = terms * (1 - jnp.exp(log_probability)) ** config.focal_gamma
    # A window counts by the weight of its own classes, whatever smoothing spreads to others.
    return (smooth * terms).sum(axis=-1) * (targets * weights).sum(axis=-1)


def mix_windows(
    key: jax.Array, signal: jax.Array, present: jax.Array, targets: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Mix each window with another one of the batch, and their targets alike.

    One share is drawn for the whole batch. Windows whose partner has other channels present stay
    as they are: zeros of an absent channel are no signal to mix (models.md#input-windows).

    Args:
        key: draws share and partners.
        signal: [B, M, L].
        present: [B, M] bool.
        targets: [B, K].
        alpha: of the beta distribution, above 0.

    Returns:
        Mixed signal and targets.
    """
    share_key, partner_key = jax.random.split(key)
    share = jax.random.beta(share_key, alpha, alpha)
    partner = jax.random.permutation(partner_key, len(signal))
    alike = (present == present[partner]).all(axis=1)
    kept = jnp.where(alike, share, 1.0)
    mixed = kept[:, None, None] * signal + (1 - kept)[:, None, None] * signal[partner]
    return mixed, kept[:, None] * targets + (1 - kept)[:, None] * targets[partner]
