"""Encoding of window batches by compiled programs, one per batch shape."""

import dataclasses
import functools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.inference.arguments import setting
from physio_mae_jax.inference.encoding_config import EncodingConfig, Output
from physio_mae_jax.inference.recording_plan import EncodingPlan
from physio_mae_jax.inference.window_batches import WindowBatch, window_batches
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.setting_kinds import Number
from physio_mae_jax.training.sharding import (
    batch_sharding,
    check_batch_size,
    make_mesh,
    replicated,
    with_mesh,
)
from physio_mae_jax.types import Params

Batch = Mapping[str, jax.Array]

_BATCH_SIZE = Number(low=1, high=2**18, whole=True, example=32)
_NUM_DEVICES = Number(low=1, high=2**20, whole=True, example=1)


class MeshArguments(TypedDict, total=False):
    """Arguments of ``mesh_for``, which the constructor of ``Encoder`` takes."""

    batch_size: int
    num_devices: int | None


def mesh_for(batch_size: object, num_devices: object) -> Mesh:
    """Return a mesh of this process's devices that divides a batch evenly.

    Args:
        batch_size: Windows encoded at a time.
        num_devices: Number of devices; None for all.

    Raises:
        ConfigError: A value is not a valid number, or the devices do not divide the batch.
    """
    batch_size = int(setting(batch_size, "batch_size", _BATCH_SIZE))
    if num_devices is not None:
        num_devices = int(setting(num_devices, "num_devices", _NUM_DEVICES))
    mesh = make_mesh(num_devices, among=jax.local_devices())
    check_batch_size(batch_size, 1, mesh.size)
    return mesh


def encode_windows(
    config: MaeConfig, params: Params, batch: Batch, *, channel_independent: bool
) -> jax.Array:
    """Return the latents [B, M, W, H, D] of windows.

    Args:
        config: Configuration of the encoder.
        params: Parameters of the encoder.
        batch: Entries 'signal' [B, M, L], 'channel_mask' and 'channel_ids' [B, M] and, for padded
            windows, 'num_valid_columns' [B].
        channel_independent: Encode each channel separately.
    """
    windows = Windows.of(batch)
    channels = windows.signal.shape[1]
    if channel_independent:
        windows = windows.single_channels()
    encoder = TransformerEncoder(config)
    latents = cast(jax.Array, encoder.apply({"params": params}, windows, method="grid"))
    if channel_independent:
        latents = latents.reshape(-1, channels, *latents.shape[2:])
    return latents


def pool_latents(
    latents: jax.Array, channel_mask: jax.Array, column_weight: jax.Array, output: Output
) -> jax.Array:
    """Average latents over the channels and columns that are present.

    Args:
        latents: Latents [B, M, W, H, D].
        channel_mask: Present channels [B, M], bool.
        column_weight: Weights of the columns [B, W], float, 0 on padding.
        output: 'pooled' [B, D], 'channels' [B, M, D], 'columns' [B, W, D] or 'tokens' (all).

    Returns:
        Float32 array; in the last three, entries of absent channels or padding are undefined.
    """
    latents = latents.astype(jnp.float32)
    if output == "tokens":
        return latents
    rows = jnp.where(channel_mask[:, :, None, None], latents.mean(axis=3), 0.0)
    over_channels = jnp.maximum(channel_mask.sum(axis=1).astype(jnp.float32), 1.0)
    if output == "columns":
        return rows.sum(axis=1) / over_channels[:, None, None]
    counted = column_weight[:, None, :, None]
    rows = jnp.where(counted > 0, rows * counted, 0.0).sum(axis=2)
    rows = rows / jnp.maximum(column_weight.sum(axis=1), 1e-6)[:, None, None]
    return rows if output == "channels" else rows.sum(axis=1) / over_channels[:, None]


@dataclasses.dataclass(frozen=True, eq=False)
class CompiledEncoder:
    """An encoder on the devices of a mesh, compiled on the first use of each batch shape.

    Attributes:
        config: Configuration of the encoder, without training-only settings.
        params: Parameters, replicated on all devices.
        mesh: Mesh of this process's devices.
        channel_independent: Encode each channel separately, see ``encode_windows``.
        compiled: Compiled programs by batch shape.
    """

    config: MaeConfig
    params: Params
    mesh: Mesh
    channel_independent: bool
    compiled: dict[tuple[object, ...], jax.stages.Compiled] = dataclasses.field(
        default_factory=dict
    )

    @classmethod
    def of(
        cls, config: MaeConfig, params: Params, mesh: Mesh, *, channel_independent: bool
    ) -> "CompiledEncoder":
        """Put an encoder on the devices."""
        config = config.for_inference().for_platform(mesh.devices.flat[0].platform)
        params = jax.device_put(params, replicated(mesh))
        return cls(config, params, mesh, channel_independent)

    def run(self, batch: Mapping[str, np.ndarray], output: Output) -> jax.Array:
        """Encode a batch; compiles only for a new shape.

        Args:
            batch: Entries of ``encode_windows`` and 'column_weight' [B, W]; B of
                ``window_batches.batch_bucket``.
            output: Requested output, see ``pool_latents``.
        """
        key = (output, *((name, values.shape) for name, values in sorted(batch.items())))
        on_devices = jax.device_put(dict(batch), batch_sharding(self.mesh))
        if key not in self.compiled:
            self.compiled[key] = self._jitted(output).lower(self.params, on_devices).compile()
        return self.compiled[key](self.params, on_devices)

    def run_plan(
        self, plan: EncodingPlan, config: EncodingConfig, batch_size: int
    ) -> Iterator[tuple[WindowBatch, np.ndarray]]:
        """Read and encode the windows of recordings, as ``run_all`` does."""
        batches = window_batches(
            plan,
            batch_size=batch_size,
            num_devices=self.mesh.size,
            num_threads=config.num_threads or min(8, os.cpu_count() or 1),
        )
        yield from self.run_all(batches, config.output)

    def run_all(
        self, batches: Iterable[WindowBatch], output: Output
    ) -> Iterator[tuple[WindowBatch, np.ndarray]]:
        """Encode batches in order; yields each with its output, see ``pool_latents``."""
        pending: deque[tuple[WindowBatch, jax.Array]] = deque()
        for batch in batches:
            # Fetched one batch late, so that the device computes while the next batch is read.
            pending.append((batch, self.run(batch.arrays, output)))
            if len(pending) > 1:
                encoded, values = pending.popleft()
                yield encoded, np.asarray(values)
        for encoded, values in pending:
            yield encoded, np.asarray(values)

    def _jitted(self, output: Output) -> jax.stages.Wrapped:
        function = functools.partial(
            _encode_and_pool, self.config, self.channel_independent, output
        )
        return jax.jit(
            with_mesh(function, self.mesh),
            in_shardings=(replicated(self.mesh), batch_sharding(self.mesh)),
            out_shardings=batch_sharding(self.mesh),
            compiler_options=self.config.compiler_options,
        )


def _encode_and_pool(
    config: MaeConfig, channel_independent: bool, output: Output, params: Params, batch: Batch
) -> jax.Array:
    latents = encode_windows(config, params, batch, channel_independent=channel_independent)
    return pool_latents(latents, batch["channel_mask"], batch["column_weight"], output)
