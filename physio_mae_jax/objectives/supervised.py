"""Losses of labeled windows: multilabel, multiclass, regression, and classes of samples."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.setting_ranges import check_fields

ProblemType = Literal["multilabel", "multiclass", "regression", "segmentation"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """Losses and mixing of labeled windows.

    Attributes:
        focal_gamma: Focal loss exponent: each term is weighted by (1 - p)^gamma, p being the
            probability of the true class (Lin et al. 2017); 0 for plain cross entropy.
        label_smoothing: Share of a label spread over all classes (or towards 1/2).
        balance: Class weights: equal ('none'), 'inverse' class frequency, or the inverse
            'effective' number of examples (Cui et al. 2019).
        mixup: Alpha of the beta distribution of mixing shares (Zhang et al. 2018); 0 disables
            mixup.
    """

    focal_gamma: float = 0.0
    label_smoothing: float = 0.0
    balance: str = "none"
    mixup: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "objective")


def class_weights(
    targets: np.ndarray, kind: ProblemType, balance: str, beta: float = 0.999
) -> np.ndarray:
    """Compute class weights from the class frequencies of the training data.

    Args:
        targets: [U, Y] 0 or 1, targets of the training examples; for 'segmentation' the number of
            samples of each class.
        kind: 'multilabel': weights apply to the positives of each class; 'multiclass': to the
            examples of each class; 'segmentation': to the samples of each class.
        balance: As in ``SupervisedConfig``.
        beta: Parameter of the effective number (1 - beta^n) / (1 - beta).

    Returns:
        [Y] float32: for classes with mean 1 over the examples or samples; for 'multilabel' the
        weight that balances positives and negatives ('inverse'), or a milder form ('effective').
        Ones for 'none' and for regression. A class without examples has weight 1.
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
    kind: ProblemType,
    weights: jax.Array,
    config: SupervisedConfig,
) -> jax.Array:
    """Return the loss of each window.

    Args:
        logits: [B, Y] float32; predictions of standardized targets for 'regression'; [B, M, L, Y]
            for 'segmentation'.
        targets: [B, Y]; rows of 'multiclass' sum to 1 (mixed windows have several classes). For
            'segmentation' the class [B, M, L] of each sample, -1 for samples without a label.
        kind: Issue type.
        weights: [Y] from ``class_weights``.
        config: Label smoothing and focal loss.

    Returns:
        [B] float32; for 'segmentation' scaled so that their mean is the mean over all labeled
        samples of the batch.
    """
    if kind == "segmentation":
        return _by_sample(logits, targets, weights, config)
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
    # A window is weighted by its own classes, unaffected by label smoothing.
    return (smooth * terms).sum(axis=-1) * (targets * weights).sum(axis=-1)


def _by_sample(
    logits: jax.Array, labels: jax.Array, weights: jax.Array, config: SupervisedConfig
) -> jax.Array:
    # The one-hot row of -1 is zero, and so is its loss.
    one_hot = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    losses = _categorical(logits, one_hot, weights, config).sum(axis=(1, 2))
    return losses * len(losses) / jnp.maximum((labels >= 0).sum(), 1)


def mix_windows(
    key: jax.Array, signal: jax.Array, present: jax.Array, targets: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Mix each window and its targets with another window of the batch (mixup).

    One share is drawn for the whole batch. Windows whose partner has other channels present are
    unchanged: zeros of an absent channel are not a signal to mix (models.md#input-windows).

    Args:
        key: PRNG key for share and partners.
        signal: [B, M, L].
        present: [B, M] bool.
        targets: [B, Y].
        alpha: Alpha of the beta distribution, above 0.

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
