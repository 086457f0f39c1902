"""A bidirectional state-space layer over time columns (models.md#state-space)."""

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.layers import (
    NORM_EPSILON,
    Linear,
    SeparateBias,
    linear_init,
    linear_operations,
    make_linear,
)
from physio_mae_jax.models.mixers.base import Geometry, SequenceShape
from physio_mae_jax.models.mixers.carried_recurrence import RECURRENT, mix_carried
from physio_mae_jax.models.mixers.column_recurrence import ColumnState, Direction, mix_columns
from physio_mae_jax.models.rematerialization import save_for_backward
from physio_mae_jax.models.residual import ResidualBranch

# Tokens of a chunk: large enough for matmuls; the cost within chunks is proportional to it.
_CHUNK_TOKENS = 128
# Time constants of the heads and periods of the state features at initialization, in columns.
_TIME_CONSTANTS = (1.0, 200.0)
_PERIODS = (2.0, 400.0)
# Memory is at most ten thousand columns; a rate of 0 would have no gradient.
_MIN_RATE = 1e-4


class StateSpace(nn.Module):
    """Two recurrences over the columns of a sequence, one in each direction of time.

    The state decays with the true time between columns, at rates that depend on the tokens. All
    rows of a column are written and read at once, so that their order is of no effect. If the
    collection ``RECURRENT`` holds the forward state of the columns before, it is carried on.
    """

    settings: BlockConfig

    supports_joint: ClassVar[bool] = False
    supports_ragged_rows: ClassVar[bool] = False
    sows_received_weights: ClassVar[bool] = False

    @nn.compact
    def __call__(self, tokens: jax.Array, geometry: Geometry) -> ResidualBranch:
        """Mix [B, M, K, R, D] along K; all R rows of a column are at the time of the first."""
        cfg = self.settings
        _, channels, columns, rows, width = tokens.shape
        flat = tokens.reshape(-1, columns, rows, width)
        times = jnp.repeat(geometry.times[:, :, 0], channels, axis=0)
        mask = geometry.token_mask
        if mask is not None:
            mask = jnp.repeat(mask, channels, axis=0)
        gate, value = jnp.split(self._linear(2 * width, "gate_and_value", flat), 2, axis=-1)
        state = self._linear(4 * cfg.state_size, "state", flat)
        read, write, read_back, write_back = jnp.split(state, 4, axis=-1)
        rate, rate_back = jnp.split(self._rates(flat, mask), 2, axis=-1)
        angles = self.param("angle", _log_spaced_angles, (cfg.state_size // 2,))
        value = value.reshape(*flat.shape[:-1], cfg.num_heads, -1)
        given = (
            value,
            Direction(read, write, rate),
            Direction(read_back, write_back, rate_back),
            angles,
            times,
            mask,
            chunk_columns(rows),
        )
        if self.has_variable(RECURRENT, "sums"):
            before = ColumnState(
                *(self.get_variable(RECURRENT, name) for name in ColumnState._fields)
            )
            mixed, after = mix_carried(*given, before)
            for name, held in after._asdict().items():
                self.put_variable(RECURRENT, name, held)
        else:
            mixed = mix_columns(*given, cfg.lookahead_columns)
        mixed += value * self._skip().astype(value.dtype)
        norm = nn.RMSNorm(
            epsilon=NORM_EPSILON,
            dtype=cfg.dtype,
            feature_axes=(-2, -1),
            reduction_axes=-1,
            name="norm",
        )
        gated = save_for_backward(norm(mixed).reshape(flat.shape) * nn.silu(gate))
        return self._output(gated.reshape(tokens.shape))

    @classmethod
    def operations(cls, settings: BlockConfig, shape: SequenceShape) -> float:
        """Count the linear layers, the products within chunks, and the states."""
        width, size, ratio = shape.width, settings.state_size, settings.attention_rank_ratio
        linear = sum(
            linear_operations(width, features, ratio) for features in (2 * width, 4 * size, width)
        )
        rates = linear_operations(width, 2 * settings.num_heads, 0.0) / shape.num_rows
        columns = math.ceil(shape.num_tokens / shape.num_rows)
        in_chunk = min(chunk_columns(shape.num_rows), columns) * shape.num_rows
        within = 2 * in_chunk * (2 * size + width)
        # Written and read, in both directions.
        states = 2 * 2 * 2 * size * width
        per_token = linear + rates + within + states
        return shape.num_sequences * shape.num_tokens * per_token

    def _linear(self, features: int, name: str, tokens: jax.Array) -> jax.Array:
        cfg = self.settings
        layer = make_linear(features, cfg.attention_rank_ratio, cfg.dtype, name, use_bias=False)
        return save_for_backward(layer(tokens))

    def _rates(self, tokens: jax.Array, mask: jax.Array | None) -> jax.Array:
        """Return the rates of decay [N, K, 2 h] of each column, from the mean of its rows."""
        tokens = tokens.astype(jnp.float32)
        if mask is None:
            mean = tokens.mean(axis=2)
        else:
            count = jnp.maximum(mask.sum(axis=-1, keepdims=True), 1)
            mean = jnp.where(mask[..., None], tokens, 0.0).sum(axis=2) / count
        layer = Linear(
            2 * self.settings.num_heads,
            dtype=jnp.float32,
            kernel_init=linear_init,
            bias_init=_log_spaced_rates,
            name="rate",
        )
        return _MIN_RATE + nn.softplus(layer(mean))

    def _skip(self) -> jax.Array:
        """Return the weight [h, 1] with which each head passes a token on unmixed."""
        return self.param("skip", nn.initializers.ones, (self.settings.num_heads, 1))

    def _output(self, mixed: jax.Array) -> ResidualBranch:
        cfg, width = self.settings, mixed.shape[-1]
        if cfg.attention_rank_ratio:
            layer = make_linear(width, cfg.attention_rank_ratio, cfg.dtype, "output")
            return ResidualBranch(layer(mixed))
        return ResidualBranch(*SeparateBias(width, cfg.dtype, name="output")(mixed))


def chunk_columns(num_rows: int) -> int:
    """Return the number of columns of a chunk."""
    return max(1, _CHUNK_TOKENS // num_rows)


def _log_spaced_rates(
    key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Initialize the rates of the heads of both directions, before the softplus: [2 h]."""
    del key
    constants = np.geomspace(*_TIME_CONSTANTS, shape[0] // 2)
    return jnp.asarray(np.tile(np.log(np.expm1(1 / constants)), 2), dtype)


def _log_spaced_angles(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Initialize the rotation of the pairs of state features, in radians per column: [n / 2]."""
    del key
    return jnp.asarray(2 * np.pi / np.geomspace(*_PERIODS, shape[0]), jnp.float32)
