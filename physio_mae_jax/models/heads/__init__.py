"""Classification heads over an encoder's tokens (models.md#classification-heads).

Modules::

    arcface       logits from angles to class vectors, with a margin on the target
    base          the protocol of a head, and its settings
    classifier    an encoder over whole windows, a head, and the layer that gives logits
    reasoning     learned queries that attend to the tokens, then to each other
    sample_heads  logits of every sample of every channel from the tokens of its column
    segmenter     an encoder over whole windows, and a class for every sample of every channel
    window_heads  heads that summarize a window in one vector, and the dict of all heads
"""

from physio_mae_jax.models.heads.sample_heads import SAMPLE_HEADS
from physio_mae_jax.models.heads.window_heads import HEADS

__all__ = ["HEADS", "SAMPLE_HEADS"]
