"""Use of trained models: embeddings of new signals, import of other weights."""

from physio_mae_jax.inference.encoder import Encoder

__all__ = ["Encoder"]
