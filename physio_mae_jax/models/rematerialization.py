"""Which values the backward pass takes up, where it computes the cheap rest again.

That is ``remat='elementwise'``, see ``MaeConfig``.
"""

import jax
from jax.ad_checkpoint import checkpoint_name

KEPT = "kept"


def keep(values: jax.Array) -> jax.Array:
    """Mark values that are dear to compute again."""
    return checkpoint_name(values, KEPT)
