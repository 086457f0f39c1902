"""Residual sums of a block, its norms and smoothing (models.md#factorized-attention)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.kernels import layer_norm as norm_kernel
from physio_mae_jax.models.kernels.smoothing import smooth_and_normalize
from physio_mae_jax.models.layers import NORM_EPSILON
from physio_mae_jax.models.rematerialization import save_for_backward

DROP_PATH = "drop_path"  # name of the random keys that drop branches


class ResidualBranch(NamedTuple):
    """A residual branch, added to tokens as ``values + example_mask · bias``.

    The terms are kept separate so that one fused pass can add them.

    Attributes:
        values: [..., D], the shape of the tokens.
        bias: [D]; None if ``values`` include it.
        example_mask: [B] float32 factor of the bias, 0 for examples whose ``values`` are 0 and that
            receive no bias either; None for 1.
    """

    values: jax.Array
    bias: jax.Array | None = None
    example_mask: jax.Array | None = None

    def masked(self, example_mask: jax.Array) -> "ResidualBranch":
        """Restrict the branch to the examples of ``example_mask`` [B] bool.

        If ``bias`` is separate, ``values`` of the other examples are already 0.
        """
        example_mask = example_mask.astype(jnp.float32)
        if self.bias is not None:
            return self._replace(example_mask=example_mask)
        return self.scaled(example_mask)

    def scaled(self, factor: jax.Array | None) -> "ResidualBranch":
        """Scale the branch of each example by ``factor`` [B]; None for no change."""
        if factor is None:
            return self
        rest = [1] * (self.values.ndim - 1)
        values = self.values * factor.reshape(-1, *rest).astype(self.values.dtype)
        if self.bias is None:
            return ResidualBranch(values)
        mask = factor if self.example_mask is None else self.example_mask * factor
        return ResidualBranch(values, self.bias, mask)

    def added_to(self, tokens: jax.Array) -> jax.Array:
        """Return the sum of tokens [B, ..., D] and the branch."""
        values = self.values.reshape(tokens.shape)
        if self.bias is None:
            return tokens + values
        bias = self.bias.astype(tokens.dtype)
        if self.example_mask is not None:
            example_mask = self.example_mask.reshape(-1, *[1] * (tokens.ndim - 1))
            bias = bias * example_mask.astype(tokens.dtype)
        return tokens + (values + bias)


class ResidualNorm(nn.Module):
    """Residual sum and LayerNorm: adds a branch to tokens and also returns the normalized sum.

    Attributes:
        dtype: Compute type.
        fused: Compute by custom kernels (NVIDIA GPUs).
    """

    dtype: jnp.dtype
    fused: bool = False

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        branch: ResidualBranch | None = None,
        smoothing: "DepthwiseKernel | None" = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Return (tokens with the branch, their norm), [B, M, K, R, D] both.

        Args:
            tokens: [B, M, K, R, D].
            branch: Residual branch to add first.
            smoothing: Convolution applied before the norm, not to the returned sum.
        """
        width = tokens.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        if branch is not None and (smoothing is not None or not self.fused):
            tokens, branch = save_for_backward(branch.added_to(tokens)), None
        if self.fused:
            return _by_kernels(tokens.astype(self.dtype), branch, smoothing, scale, bias)
        smoothed = tokens if smoothing is None else smoothing.applied_to(tokens)
        standard = jax.nn.standardize(smoothed.astype(jnp.float32), epsilon=NORM_EPSILON)
        return tokens, save_for_backward((standard * scale + bias).astype(self.dtype))


class DepthwiseKernel(NamedTuple):
    """A depth-wise convolution of three taps along time.

    Attributes:
        kernel: [3, D] weights of the previous, current and next position.
        bias: [D].
        before: [B, M, 1, R, D] position before the first one; None for zeros.
        is_last: [B, K] bool, True where the next position is not read; None for nowhere.
    """

    kernel: jax.Array
    bias: jax.Array
    before: jax.Array | None = None
    is_last: jax.Array | None = None

    def applied_to(self, tokens: jax.Array) -> jax.Array:
        """Smooth [B, M, K, R, D] along K, with zeros past both ends."""
        kernel, bias = self.kernel.astype(tokens.dtype), self.bias.astype(tokens.dtype)
        padded = jnp.pad(tokens, [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0)])
        earlier, later = padded[:, :, :-2], padded[:, :, 2:]
        if self.before is not None:
            earlier = jnp.concatenate([self.before.astype(tokens.dtype), tokens[:, :, :-1]], axis=2)
        if self.is_last is not None:
            later = jnp.where(self.is_last[:, None, :, None, None], 0, later)
        return kernel[0] * earlier + kernel[1] * tokens + kernel[2] * later + bias


class TemporalSmoothing(nn.Module):
    """Learned taps that smooth each frequency row along time columns.

    Under a mask, the neighbors are the nearest visible columns in time.
    """

    @nn.compact
    def __call__(self, width: int) -> DepthwiseKernel:
        """Return the taps for tokens of ``width`` features."""
        init = _uniform(3**-0.5)
        return DepthwiseKernel(
            self.param("kernel", init, (3, width)), self.param("bias", init, (width,))
        )


def _uniform(bound: float) -> Callable[..., jax.Array]:
    def init(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return init


def _by_kernels(
    tokens: jax.Array,
    branch: ResidualBranch | None,
    smoothing: DepthwiseKernel | None,
    scale: jax.Array,
    bias: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Compute ``ResidualNorm`` by custom kernels."""
    if branch is not None:
        none = jnp.zeros(tokens.shape[-1:], jnp.float32)
        all_of_it = jnp.ones(tokens.shape[0], jnp.float32)
        return norm_kernel.add_and_normalize(
            tokens,
            branch.values.reshape(tokens.shape),
            none if branch.bias is None else branch.bias,
            all_of_it if branch.example_mask is None else branch.example_mask,
            scale,
            bias,
            NORM_EPSILON,
        )
    if smoothing is not None:
        kernel, taps_bias = smoothing.kernel, smoothing.bias
        return smooth_and_normalize(tokens, kernel, taps_bias, scale, bias, NORM_EPSILON)
    return norm_kernel.normalize(tokens, scale, bias, NORM_EPSILON)
