"""Linear layers, norm, activation, MLP and smoothing (spec.md §4)."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from physio_mae_jax.models.kernels.gelu import gelu_of_biased
from physio_mae_jax.models.kernels.layer_norm import normalise_tokens

_NORM_EPSILON = 1e-5

# Linear layers: normal of deviation .02 cut at two deviations (spec.md §8).
linear_init = nn.initializers.truncated_normal(0.02)
# Layers that were convolutions keep the uniform ±1/sqrt(fan in) of spec.md §8.
convolution_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


# What the backward pass takes up where it computes the cheap rest again (``remat='elementwise'``).
KEPT = "kept"


def keep(values: jax.Array) -> jax.Array:
    """Mark values that are dear to compute again."""
    return checkpoint_name(values, KEPT)


class LowRankDense(nn.Module):
    """A linear layer whose matrix is a product of two thin ones (spec.md §4, "tensorized").

    The rank is ``rank_ratio`` times the smaller side, 32 at least; the first factor has no bias.
    """

    features: int
    rank_ratio: float
    dtype: jnp.dtype
    use_bias: bool = True

    @nn.compact
    def __call__(self, values: jax.Array) -> jax.Array:
        """Map [..., D] to [..., features]."""
        init = nn.initializers.xavier_uniform()
        rank = low_rank(values.shape[-1], self.features, self.rank_ratio)
        inner = nn.Dense(rank, use_bias=False, dtype=self.dtype, kernel_init=init, name="reduce")
        outer = nn.Dense(
            self.features,
            use_bias=self.use_bias,
            dtype=self.dtype,
            kernel_init=init,
            name="restore",
        )
        return outer(inner(values))


def low_rank(size_in: int, size_out: int, rank_ratio: float) -> int:
    """Return the rank of a low-rank layer (spec.md §4)."""
    return max(32, int(min(size_in, size_out) * rank_ratio))


def linear(
    features: int, rank_ratio: float, dtype: jnp.dtype, name: str, use_bias: bool = True
) -> nn.Module:
    """Make a linear layer, of low rank unless ``rank_ratio`` is 0."""
    if rank_ratio:
        return LowRankDense(features, rank_ratio, dtype, use_bias, name=name)
    return nn.Dense(features, use_bias=use_bias, dtype=dtype, kernel_init=linear_init, name=name)


def gelu(values: jax.Array) -> jax.Array:
    """Apply the GELU; in bfloat16 by its tanh form, which is a good deal faster there.

    The two forms are never further apart than 5e-4, a sixteenth of a bfloat16 step at 1.
    """
    return nn.gelu(values, approximate=values.dtype == jnp.bfloat16)


class Mlp(nn.Module):
    """Two linear layers with a GELU between, four times as wide inside.

    Attributes:
        dtype: of the computation.
        rank_ratio: see ``linear``.
        fused: bias and GELU by ``kernels.gelu``, on NVIDIA GPUs.
    """

    dtype: jnp.dtype
    rank_ratio: float = 0.0
    fused: bool = False

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map [..., D] to [..., D]."""
        width = tokens.shape[-1]
        if self.fused and not self.rank_ratio:
            hidden = FusedDenseGelu(4 * width, self.dtype, name="expand")(tokens)
        else:
            hidden = gelu(keep(linear(4 * width, self.rank_ratio, self.dtype, "expand")(tokens)))
        return linear(width, self.rank_ratio, self.dtype, "contract")(hidden)


class FusedDenseGelu(nn.Module):
    """A linear layer and a GELU, the latter and the bias by a kernel, with linen's parameters."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map [B, ..., D] to [B, ..., features]."""
        kernel = self.param("kernel", linear_init, (tokens.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        hidden = keep(jnp.dot(tokens, kernel.astype(self.dtype)))
        return gelu_of_biased(hidden, bias)


class TemporalSmoothing(nn.Module):
    """Depth-wise convolution of three taps along the time columns of each frequency row.

    Among visible columns the neighbours are the nearest visible ones in time.
    """

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Smooth [B, M, K, H, D] along K, with zeros past both ends."""
        width = tokens.shape[-1]
        bound = 3**-0.5
        kernel = self.param("kernel", _uniform(bound), (3, width)).astype(self.dtype)
        bias = self.param("bias", _uniform(bound), (width,)).astype(self.dtype)
        padded = jnp.pad(tokens, [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0)])
        earlier, later = padded[:, :, :-2], padded[:, :, 2:]
        return kernel[0] * earlier + kernel[1] * tokens + kernel[2] * later + bias


def _uniform(bound: float) -> Callable[..., jax.Array]:
    def init(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return init


def layer_norm(name: str, dtype: jnp.dtype, *, fused: bool = False) -> nn.Module:
    """Make the LayerNorm used throughout; ``fused`` by a kernel, on NVIDIA GPUs."""
    if fused:
        return FusedLayerNorm(dtype, name=name)
    return nn.LayerNorm(epsilon=_NORM_EPSILON, dtype=dtype, name=name)


class FusedLayerNorm(nn.Module):
    """LayerNorm by ``kernels.layer_norm``, with the parameters of linen's."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Normalise [B, …, D]."""
        features = tokens.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, features)
        bias = self.param("bias", nn.initializers.zeros, features)
        return normalise_tokens(tokens.astype(self.dtype), scale, bias, _NORM_EPSILON)
