"""An encoder over whole windows, a head, and the layer that gives logits."""

import flax.linen as nn
import jax

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.heads import HEADS
from physio_mae_jax.models.heads.arcface import ArcFace
from physio_mae_jax.models.heads.base import HeadConfig, xavier_init
from physio_mae_jax.models.layers import Linear
from physio_mae_jax.models.window_batch import Windows


class Classifier(nn.Module):
    """An encoder over whole windows, a head, and a linear layer or class vectors (ArcFace)."""

    config: MaeConfig
    head_config: HeadConfig

    def setup(self) -> None:
        """Create the submodules."""
        cfg, head = self.config, self.head_config
        self.encoder = TransformerEncoder(cfg)
        self.head = HEADS[head.kind](cfg, head)
        if head.arcface:
            self.arcface = ArcFace(head.num_classes, head.arcface_scale, head.arcface_margin)
        else:
            self.output = Linear(head.num_classes, kernel_init=xavier_init)

    def features(self, windows: Windows, *, train: bool = False) -> jax.Array:
        """Return the embedding of each window, from which ``logits`` classifies: [B, D'] float32.

        Args:
            windows: Windows of M channels.
            train: Whether to apply dropout (needs a 'dropout' key).
        """
        cfg = self.config
        token_mask = windows.token_mask(cfg.num_columns, cfg.num_rows)
        return self.head(self.encoder.grid(windows), token_mask, train)

    def logits(self, features: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """Classify embeddings [B, D']: logits [B, Y] float32.

        Args:
            features: Result of ``features``.
            labels: [B] int, for the margin of ArcFace in training; unused without ArcFace.
        """
        return self.arcface(features, labels) if self.head_config.arcface else self.output(features)

    def __call__(
        self, windows: Windows, labels: jax.Array | None = None, train: bool = False
    ) -> jax.Array:
        """Classify windows: logits [B, Y] float32; arguments as in ``features`` and ``logits``."""
        return self.logits(self.features(windows, train=train), labels)
