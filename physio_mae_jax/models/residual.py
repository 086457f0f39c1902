"""Residual sums of a block, its norms and smoothing (models.md#factorized-attention)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from physio_mae_jax.models.kernels import layer_norm as norm_kernel
from physio_mae_jax.models.kernels.smoothing import smooth_and_normalise
from physio_mae_jax.models.layers import NORM_EPSILON
from physio_mae_jax.models.rematerialization import keep


class Branch(NamedTuple):
    """What is added to tokens: ``values + example_mask · bias``.

    The parts are kept apart for whoever adds them all in one pass.

    Attributes:
        values: [..., D], as many as the tokens.
        bias: [D], None where ``values`` have it already.
        example_mask: [B] float32, 0 for examples whose ``values`` are 0 and that the bias leaves
            alone too; None where there are none.
    """

    values: jax.Array
    bias: jax.Array | None = None
    example_mask: jax.Array | None = None

    def of_those(self, example_mask: jax.Array) -> "Branch":
        """Leave the branch to the examples that take part [B] bool.

        Of the others ``values`` are 0 already where ``bias`` is kept apart.
        """
        example_mask = example_mask.astype(jnp.float32)
        if self.bias is not None:
            return self._replace(example_mask=example_mask)
        rest = [1] * (self.values.ndim - 1)
        return Branch(self.values * example_mask.reshape(-1, *rest).astype(self.values.dtype))

    def added_to(self, tokens: jax.Array) -> jax.Array:
        """Return [B, ..., D] tokens and the branch."""
        values = self.values.reshape(tokens.shape)
        if self.bias is None:
            return tokens + values
        bias = self.bias.astype(tokens.dtype)
        if self.example_mask is not None:
            example_mask = self.example_mask.reshape(-1, *[1] * (tokens.ndim - 1))
            bias = bias * example_mask.astype(tokens.dtype)
        return tokens + (values + bias)


class ResidualNorm(nn.Module):
    """Sum and LayerNorm: adds a branch to tokens, and normalises the sum beside it.

    Attributes:
        dtype: of the computation.
        fused: by kernels, on NVIDIA GPUs.
    """

    dtype: jnp.dtype
    fused: bool = False

    @nn.compact
    def __call__(
        self, tokens: jax.Array, branch: Branch | None = None, smoothing: "Taps | None" = None
    ) -> tuple[jax.Array, jax.Array]:
        """Return (tokens with the branch, their norm), [B, M, K, R, D] both.

        Args:
            tokens: [B, M, K, R, D].
            branch: to be added first.
            smoothing: of what is normalised, not of what is returned beside it.
        """
        width = tokens.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        if branch is not None and (smoothing is not None or not self.fused):
            tokens, branch = keep(branch.added_to(tokens)), None
        if self.fused:
            return _by_kernels(tokens.astype(self.dtype), branch, smoothing, scale, bias)
        smoothed = tokens if smoothing is None else smoothing.applied_to(tokens)
        standard = jax.nn.standardize(smoothed.astype(jnp.float32), epsilon=NORM_EPSILON)
        return tokens, keep((standard * scale + bias).astype(self.dtype))


class Taps(NamedTuple):
    """A depth-wise convolution of three taps along time.

    Attributes:
        kernel: [3, D] of the earlier place, the own and the later.
        bias: [D].
    """

    kernel: jax.Array
    bias: jax.Array

    def applied_to(self, tokens: jax.Array) -> jax.Array:
        """Smooth [B, M, K, R, D] along K, with zeros past both ends."""
        kernel, bias = self.kernel.astype(tokens.dtype), self.bias.astype(tokens.dtype)
        padded = jnp.pad(tokens, [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0)])
        earlier, later = padded[:, :, :-2], padded[:, :, 2:]
        return kernel[0] * earlier + kernel[1] * tokens + kernel[2] * later + bias


class TemporalSmoothing(nn.Module):
    """The taps by which time columns of each frequency row are smoothed.

    Among visible columns the neighbours are the nearest visible ones in time.
    """

    @nn.compact
    def __call__(self, width: int) -> Taps:
        """Return taps for tokens of ``width`` features."""
        init = _uniform(3**-0.5)
        return Taps(self.param("kernel", init, (3, width)), self.param("bias", init, (width,)))


def _uniform(bound: float) -> Callable[..., jax.Array]:
    def init(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return init


def _by_kernels(
    tokens: jax.Array,
    branch: Branch | None,
    smoothing: Taps | None,
    scale: jax.Array,
    bias: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Do as ``ResidualNorm`` does, by kernels."""
    if branch is not None:
        none = jnp.zeros(tokens.shape[-1:], jnp.float32)
        all_of_it = jnp.ones(tokens.shape[0], jnp.float32)
        return norm_kernel.add_and_normalise(
            tokens,
            branch.values.reshape(tokens.shape),
            none if branch.bias is None else branch.bias,
            all_of_it if branch.example_mask is None else branch.example_mask,
            scale,
            bias,
            NORM_EPSILON,
        )
    if smoothing is not None:
        kernel, taps_bias = smoothing
        return smooth_and_normalise(tokens, kernel, taps_bias, scale, bias, NORM_EPSILON)
    return norm_kernel.normalise(tokens, scale, bias, NORM_EPSILON)
