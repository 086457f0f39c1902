"""Trained models in use: embeddings of one's own signals, weights from elsewhere."""

from physio_mae_jax.inference.encoder import Encoder

__all__ = ["Encoder"]
