"""Attention with rotary positions, MLP and the factorized block (spec.md §§3-4)."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

AttentionImplementation = Literal["xla", "cudnn"]

_ROTARY_BASE = 10_000.0
_NORM_EPSILON = 1e-5

# Linear layers: normal of deviation .02 cut at two deviations (spec.md §8).
linear_init = nn.initializers.truncated_normal(0.02)
# Layers that were convolutions keep the uniform ±1/sqrt(fan in) of spec.md §8.
convolution_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Rotation(NamedTuple):
    """Rotary angles of a token sequence, ready to apply: [B, T, d / 2] float32 each."""

    cos: jax.Array
    sin: jax.Array


def rotary_rotation(positions: jax.Array, head_dim: int) -> Rotation:
    """Compute rotary angles (Su et al. 2021; spec.md §3).

    Args:
        positions: [B, T] place of each token, here its time column.
        head_dim: d, even.
    """
    exponent = jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim
    angles = positions[..., None].astype(jnp.float32) * _ROTARY_BASE**-exponent
    return Rotation(jnp.cos(angles), jnp.sin(angles))


def rotate(heads: jax.Array, rotation: Rotation) -> jax.Array:
    """Rotate [B, T, h, d] by its angles; first half against second half, not interleaved."""
    first, second = jnp.split(heads.astype(jnp.float32), 2, axis=-1)
    cos, sin = rotation.cos[:, :, None, :], rotation.sin[:, :, None, :]
    rotated = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return rotated.astype(heads.dtype)


class Attention(nn.Module):
    """Multi-head self-attention, fused by ``jax.nn.dot_product_attention``."""

    num_heads: int
    dtype: jnp.dtype
    implementation: AttentionImplementation = "xla"

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        rotation: Rotation | None = None,
        key_mask: jax.Array | None = None,
        num_keys: jax.Array | None = None,
    ) -> jax.Array:
        """Attend over T.

        Args:
            tokens: [B, T, D].
            rotation: angles for queries and keys; None for no position.
            key_mask: [B, T] bool, False = never attended to.
            num_keys: [B] int, only the first so many keys are attended to.
        """
        width = tokens.shape[-1]
        qkv = nn.Dense(
            3 * width, use_bias=False, dtype=self.dtype, kernel_init=linear_init, name="qkv"
        )(tokens)
        heads = qkv.reshape(*tokens.shape[:-1], 3, self.num_heads, width // self.num_heads)
        query, key, value = heads[..., 0, :, :], heads[..., 1, :, :], heads[..., 2, :, :]
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        mixed = jax.nn.dot_product_attention(
            query,
            key,
            value,
            mask=None if key_mask is None else key_mask[:, None, None, :],
            key_value_seq_lengths=num_keys,
            implementation=self.implementation,
        )
        return nn.Dense(width, dtype=self.dtype, kernel_init=linear_init, name="output")(
            mixed.reshape(tokens.shape)
        )


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between, four times as wide inside."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map [..., D] to [..., D]."""
        width = tokens.shape[-1]
        hidden = nn.Dense(4 * width, dtype=self.dtype, kernel_init=linear_init, name="expand")(
            tokens
        )
        hidden = nn.gelu(hidden, approximate=False)
        return nn.Dense(width, dtype=self.dtype, kernel_init=linear_init, name="contract")(hidden)


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


def layer_norm(name: str, dtype: jnp.dtype) -> nn.LayerNorm:
    """Make the LayerNorm used throughout."""
    return nn.LayerNorm(epsilon=_NORM_EPSILON, dtype=dtype, name=name)


class FactorizedBlock(nn.Module):
    """Attention over time, then over channels, then an MLP (spec.md §4, v3)."""

    num_heads: int
    dtype: jnp.dtype
    time_attention: AttentionImplementation

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        rotation: Rotation,
        channel_mask: jax.Array,
        num_valid_columns: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        """Mix [B, M, K, H, D].

        Args:
            tokens: K columns of H frequency rows for each of M channels.
            rotation: angles for the K · H tokens of a channel, [B, K · H, d / 2].
            channel_mask: [B, M] bool, True = present. Absent channels reach no other channel.
            num_valid_columns: [B] columns at the front that hold signal; None = all.

        Returns:
            (tokens, None): the form ``nn.scan`` wants of a carry.
        """
        batch, channels, columns, rows, width = tokens.shape
        sequences = tokens.reshape(batch * channels, columns * rows, width)
        num_keys = None
        if num_valid_columns is not None:
            num_keys = jnp.repeat(num_valid_columns * rows, channels)
        attend = Attention(self.num_heads, self.dtype, self.time_attention, name="time_attention")
        mixed = attend(
            layer_norm("time_norm", self.dtype)(sequences),
            Rotation(*(jnp.repeat(angle, channels, axis=0) for angle in rotation)),
            num_keys=num_keys,
        )
        tokens = tokens + mixed.reshape(tokens.shape)
        if channels > 1:
            tokens = tokens + self._across_channels(tokens, channel_mask, num_valid_columns)
        normed = layer_norm("mlp_norm", self.dtype)(tokens)
        return tokens + Mlp(self.dtype, name="mlp")(normed), None

    def _across_channels(
        self, tokens: jax.Array, channel_mask: jax.Array, num_valid_columns: jax.Array | None
    ) -> jax.Array:
        """Return what each channel receives from the others at the same place, [B, M, K, H, D]."""
        batch, channels, columns, rows, width = tokens.shape
        if num_valid_columns is not None:
            valid = jnp.arange(columns) < num_valid_columns[:, None]
            tokens = tokens * valid[:, None, :, None, None].astype(tokens.dtype)
        smooth = TemporalSmoothing(self.dtype, name="smoothing")(tokens)
        places = smooth.reshape(batch, channels, columns * rows, width).swapaxes(1, 2)
        places = layer_norm("channel_norm", self.dtype)(places)
        # XLA, not cuDNN: sequences of a dozen channels are too short for the fused kernel to pay.
        attend = Attention(self.num_heads, self.dtype, "xla", name="channel_attention")
        mixed = attend(
            places.reshape(-1, channels, width),
            key_mask=jnp.repeat(channel_mask, columns * rows, axis=0),
        )
        mixed = mixed.reshape(batch, columns * rows, channels, width).swapaxes(1, 2)
        # One channel has nothing to exchange, so a lone channel among absent ones must come out
        # as if they were not there: where M = 1 the branch is skipped.
        exchanges = channel_mask.sum(axis=1) > 1
        mixed = mixed * exchanges[:, None, None, None].astype(mixed.dtype)
        return mixed.reshape(tokens.shape)


class JointBlock(nn.Module):
    """Attention over all tokens of all channels in one sequence, then an MLP (spec.md §4)."""

    num_heads: int
    dtype: jnp.dtype
    time_attention: AttentionImplementation

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        rotation: Rotation,
        channel_mask: jax.Array,
        num_valid_columns: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        """Mix [B, M, K, H, D]; arguments as in ``FactorizedBlock``, all columns valid."""
        del num_valid_columns  # only decoders are joint, and they see full windows
        batch, channels, columns, rows, width = tokens.shape
        sequence = tokens.reshape(batch, channels * columns * rows, width)
        attend = Attention(self.num_heads, self.dtype, self.time_attention, name="time_attention")
        mixed = attend(
            layer_norm("time_norm", self.dtype)(sequence),
            Rotation(*(jnp.tile(angle, (1, channels, 1)) for angle in rotation)),
            key_mask=jnp.repeat(channel_mask, columns * rows, axis=1),
        )
        tokens = tokens + mixed.reshape(tokens.shape)
        normed = layer_norm("mlp_norm", self.dtype)(tokens)
        return tokens + Mlp(self.dtype, name="mlp")(normed), None
