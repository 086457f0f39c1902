"""Logits from angles to class vectors, with a margin on the target."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.heads.base import xavier_init


class ArcFace(nn.Module):
    """Logits from angles to class vectors, with a margin on the target (Deng et al. 2019)."""

    num_classes: int
    scale: float
    margin: float

    @nn.compact
    def __call__(self, features: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """Map [B, D] to logits [B, Y]; the margin is applied at ``labels`` [B] int."""
        classes = self.param("classes", xavier_init, (features.shape[-1], self.num_classes))
        cosine = _unit(features, -1) @ _unit(classes, 0)
        if labels is None:
            return self.scale * cosine
        sine = jnp.sqrt(jnp.clip(1 - jnp.square(cosine), 1e-12, 1.0))
        harder = cosine * jnp.cos(self.margin) - sine * jnp.sin(self.margin)
        # Past pi - m the cosine of the enlarged angle would rise again; continue linearly.
        line = cosine - self.margin * jnp.sin(jnp.pi - self.margin)
        harder = jnp.where(cosine > jnp.cos(jnp.pi - self.margin), harder, line)
        right = jax.nn.one_hot(labels, self.num_classes, dtype=bool)
        return self.scale * jnp.where(right, harder, cosine)


def _unit(vectors: jax.Array, axis: int) -> jax.Array:
    norm = jnp.linalg.norm(vectors, axis=axis, keepdims=True)
    return vectors / jnp.maximum(norm, 1e-12)
