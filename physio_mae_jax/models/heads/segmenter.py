"""An encoder over whole windows, and a head that gives a class to every sample of every channel."""

import flax.linen as nn
import jax

from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.heads import SAMPLE_HEADS
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.window_batch import Windows


class Segmenter(nn.Module):
    """An encoder over whole windows, and a class for every sample of every channel."""

    config: MaeConfig
    head_config: HeadConfig

    def setup(self) -> None:
        """Create the submodules."""
        self.encoder = TransformerEncoder(self.config)
        self.head = SAMPLE_HEADS[self.head_config.kind](self.config, self.head_config)

    def __call__(
        self, windows: Windows, labels: jax.Array | None = None, train: bool = False
    ) -> jax.Array:
        """Classify samples: logits [B, M, L, Y] float32, undefined in absent channels and padding.

        Args:
            windows: Windows of M channels.
            labels, train: Unused; for models with a margin or with dropout.
        """
        del labels, train
        cfg = self.config
        token_mask = windows.token_mask(cfg.num_columns, cfg.num_rows)
        return self.head(self.encoder.grid(windows), token_mask, windows.signal)
