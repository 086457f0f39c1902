"""Activations saved for the backward pass, which rematerializes the cheap ones.

Used by ``remat='elementwise'``, see ``MaeConfig``.
"""

import jax
from jax.ad_checkpoint import checkpoint_name

SAVED_NAME = "kept"


def save_for_backward(values: jax.Array) -> jax.Array:
    """Mark values that are expensive to rematerialize."""
    return checkpoint_name(values, SAVED_NAME)
