"""The protocol of a head, and its settings."""

import dataclasses
import difflib
from typing import Protocol

import flax.linen as nn
import jax

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.setting_ranges import check_fields

xavier_init = nn.initializers.xavier_uniform()


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Choice of the head.

    Attributes:
        kind: Name of ``models.heads.HEADS``: 'linear' (mean token and LayerNorm), 'attention' (the
            same with a mean weighted by a learned query in each attention head), 'reasoning'
            (learned queries that attend to the tokens, then to each other), 'statistics' (mean and
            standard deviation of the tokens), 'event' (tokens near the event, at three scales) or
            'residual_mlp' (the head of the original v2). For a task that labels samples one of
            ``models.heads.SAMPLE_HEADS``: 'linear' (one layer from the tokens of a column to its
            samples) or 'convolution' (with the signal, and a convolution over the samples).
        num_classes: Number of outputs Y.
        num_queries: Number of learned queries of the reasoning head.
        dropout_rate: Dropout rate of the reasoning head in training.
        hidden_width, num_blocks: Size of the residual MLP.
        event_offset: Position of the event in its window, 0 to 1: that of ``labels.event_offset``.
        arcface: Use angles to class vectors instead of a final linear layer.
        arcface_scale, arcface_margin: s and m (radians) of Deng et al. 2019.

    Raises:
        ConfigError: A value is invalid.
    """

    kind: str = "linear"
    num_classes: int = 1
    num_queries: int = 16
    dropout_rate: float = 0.2
    hidden_width: int = 512
    num_blocks: int = 2
    event_offset: float = 0.5
    arcface: bool = False
    arcface_scale: float = 30.0
    arcface_margin: float = 0.5

    def __post_init__(self) -> None:
        # Imported here, since the heads import this module.
        from physio_mae_jax.models.heads import HEADS, SAMPLE_HEADS

        check_fields(self, "head")
        known = list(dict.fromkeys((*HEADS, *SAMPLE_HEADS)))
        if self.kind not in known:
            near = difflib.get_close_matches(self.kind, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"head.kind is {self.kind!r}; choose one of {', '.join(known)}.{hint}"
            )


class Head(Protocol):
    """A Flax module that summarizes the tokens of a window in one vector.

    The layer that gives logits follows it, see ``classifier.Classifier``.
    """

    def __init__(self, model: MaeConfig, settings: HeadConfig, *, name: str | None = None) -> None:
        """Create the module for latents of a model."""
        ...

    def __call__(self, latents: jax.Array, token_mask: jax.Array, train: bool) -> jax.Array:
        """Return the embedding of each window, [B, D'] float32.

        Args:
            latents: [B, M, W, H, D].
            token_mask: [B, M, W, H] bool, False for absent channels and padding, whose latents are
                undefined and must not affect the result.
            train: Whether to apply dropout (needs a 'dropout' key).
        """
        ...


class SampleHead(Protocol):
    """A Flax module that gives logits of every sample from the tokens of a window."""

    def __init__(self, model: MaeConfig, settings: HeadConfig, *, name: str | None = None) -> None:
        """Create the module for latents of a model."""
        ...

    def __call__(self, latents: jax.Array, token_mask: jax.Array, signal: jax.Array) -> jax.Array:
        """Return the logits of the samples of each channel, [B, M, L, Y] float32.

        Args:
            latents: [B, M, W, H, D].
            token_mask: [B, M, W, H] bool, False for absent channels and padding, whose latents are
                undefined and must not affect other samples.
            signal: [B, M, L], undefined where ``token_mask`` is False.
        """
        ...
