"""Linear layers, activation, MLP and the plain norm (models.md#attention-and-blocks).

Every dense layer of ``models`` is a ``Linear``, so that ``flax.linen.intercept_methods`` reaches
them all, to quantize or to count them for example. The siblings ``DenseParams`` and
``SplitMatmul`` hold the same parameters for the custom kernels of a 'fused' model, which compute
the matmul themselves.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.kernels.gelu import gelu_and_product
from physio_mae_jax.models.rematerialization import save_for_backward

NORM_EPSILON = 1e-5

# Linear layers: normal of std 0.02, truncated at two std (models.md#initialization).
linear_init = nn.initializers.truncated_normal(0.02)
# Layers that replace convolutions use uniform ±1/sqrt(fan in) (models.md#initialization).
convolution_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
_low_rank_init = nn.initializers.xavier_uniform()


class Linear(nn.Dense):
    """A linear layer with the numerics and parameters of ``nn.Dense``, which it stands for."""


class LowRankDense(nn.Module):
    """A linear layer with a low-rank factorised matrix (models.md#low-rank-layers).

    The rank is ``rank_ratio`` times the smaller side, at least 32; the first factor has no bias.
    """

    features: int
    rank_ratio: float
    dtype: jnp.dtype
    use_bias: bool = True

    @nn.compact
    def __call__(self, values: jax.Array) -> jax.Array:
        """Map [..., D] to [..., features]."""
        outer = Linear(
            self.features,
            use_bias=self.use_bias,
            dtype=self.dtype,
            kernel_init=_low_rank_init,
            name="up",
        )
        return outer(_reduced(values, self.features, self.rank_ratio, self.dtype))


def _reduced(values: jax.Array, features: int, rank_ratio: float, dtype: jnp.dtype) -> jax.Array:
    """Apply the first matrix of a low-rank layer, as submodule 'down' of the calling module."""
    rank = low_rank(values.shape[-1], features, rank_ratio)
    down = Linear(rank, use_bias=False, dtype=dtype, kernel_init=_low_rank_init, name="down")
    return down(values)


def low_rank(size_in: int, size_out: int, rank_ratio: float) -> int:
    """Return the rank of a low-rank layer (models.md#low-rank-layers)."""
    return max(32, int(min(size_in, size_out) * rank_ratio))


def linear_operations(size_in: int, size_out: int, rank_ratio: float) -> int:
    """Count the floating-point operations of ``make_linear`` for one token."""
    if not rank_ratio:
        return 2 * size_in * size_out
    return 2 * low_rank(size_in, size_out, rank_ratio) * (size_in + size_out)


def make_linear(
    features: int, rank_ratio: float, dtype: jnp.dtype, name: str, use_bias: bool = True
) -> nn.Module:
    """Make a linear layer, of low rank unless ``rank_ratio`` is 0."""
    if rank_ratio:
        return LowRankDense(features, rank_ratio, dtype, use_bias, name=name)
    return Linear(features, use_bias=use_bias, dtype=dtype, kernel_init=linear_init, name=name)


class SeparateBias(nn.Module):
    """A linear layer that leaves the addition of its bias to the caller.

    Attributes:
        features: Output features.
        dtype: Compute type; the bias stays float32.
    """

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map [..., D] to [..., features] without the bias [features], and return both."""
        layer = Linear(self.features, use_bias=False, dtype=self.dtype, kernel_init=linear_init)
        nn.share_scope(self, layer)
        return layer(values), self.param("bias", nn.initializers.zeros, (self.features,))


class SplitMatmul(nn.Module):
    """A bias-free linear layer whose last matmul is left to the caller.

    Attributes:
        features: Output features of that matmul.
        rank_ratio: Rank ratio, see ``make_linear``; the parameters are the same.
        dtype: Compute type.
    """

    features: int
    rank_ratio: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return both operands of the matmul for [..., D]: [..., F] and [F, features]."""
        width = values.shape[-1]
        if not self.rank_ratio:
            kernel = self.param("kernel", linear_init, (width, self.features))
            return values, kernel.astype(self.dtype)
        reduced = _reduced(values, self.features, self.rank_ratio, self.dtype)
        restoring = _UpProjection(self.features, self.dtype, name="up")
        return reduced, restoring(reduced.shape[-1])


class _UpProjection(nn.Module):
    """The second matrix of a ``LowRankDense``."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, rank: int) -> jax.Array:
        kernel = self.param("kernel", _low_rank_init, (rank, self.features))
        return kernel.astype(self.dtype)


class DenseParams(nn.Module):
    """Matrix and bias of a full-rank linear layer, for use in a fused computation.

    Attributes:
        features: Output features.
        dtype: Type of the matrix; the bias stays float32.
    """

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, width: int) -> tuple[jax.Array, jax.Array]:
        """Return [width, features] and [features]."""
        kernel = self.param("kernel", linear_init, (width, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return kernel.astype(self.dtype), bias


def gelu(values: jax.Array) -> jax.Array:
    """Apply the GELU; in bfloat16 by its tanh approximation, which is considerably faster.

    The two forms differ by at most 5e-4, a sixteenth of a bfloat16 step at 1.
    """
    return nn.gelu(values, approximate=values.dtype == jnp.bfloat16)


class Mlp(nn.Module):
    """Two linear layers with a GELU between, four times as wide inside.

    Attributes:
        dtype: Compute type.
        rank_ratio: Rank ratio, see ``make_linear``.
        fused: Compute bias and GELU by ``kernels.gelu`` (NVIDIA GPUs).
    """

    dtype: jnp.dtype
    rank_ratio: float = 0.0
    fused: bool = False

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map [..., D] to [..., D]."""
        width = tokens.shape[-1]
        if self.fused and not self.rank_ratio:
            kernel, bias = DenseParams(4 * width, self.dtype, name="expand")(width)
            hidden = jnp.dot(tokens, kernel)
            second, second_bias = DenseParams(width, self.dtype, name="contract")(4 * width)
            return gelu_and_product(hidden, bias, second) + second_bias.astype(self.dtype)
        hidden = save_for_backward(
            make_linear(4 * width, self.rank_ratio, self.dtype, "expand")(tokens)
        )
        return make_linear(width, self.rank_ratio, self.dtype, "contract")(gelu(hidden))


def layer_norm(name: str, dtype: jnp.dtype) -> nn.Module:
    """Make a LayerNorm."""
    return nn.LayerNorm(epsilon=NORM_EPSILON, dtype=dtype, name=name)
