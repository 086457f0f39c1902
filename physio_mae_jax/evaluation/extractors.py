"""Features of windows: mean-pooled tokens of an encoder, or wavelet statistics."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from physio_mae_jax.inference.compiled_encoder import encode_windows
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.signals.wavelet import coefficients
from physio_mae_jax.signals.wavelet_bank import WaveletConfig
from physio_mae_jax.training.sharding import batch_sharding, replicated, shard, with_mesh
from physio_mae_jax.types import Params

Extract = Callable[[Mapping[str, jax.Array]], jax.Array]


def encoder_extractor(
    config: MaeConfig, params: Params, mesh: Mesh, *, channel_independent: bool
) -> Extract:
    """Compile the mean-pooled tokens [B, D] float32 of an encoder, over a mesh."""

    def extract(params: Params, batch: Mapping[str, jax.Array]) -> jax.Array:
        latents = encode_windows(config, params, batch, channel_independent=channel_independent)
        return pool_tokens(latents, batch["channel_mask"][:, :, None, None])

    compiled = jax.jit(
        with_mesh(extract, mesh),
        in_shardings=(replicated(mesh), batch_sharding(mesh)),
        out_shardings=replicated(mesh),
        compiler_options=config.compiler_options,
    )
    return functools.partial(compiled, shard(params, replicated(mesh)))


def wavelet_extractor(config: WaveletConfig, sampling_rate_hz: float, mesh: Mesh) -> Extract:
    """Compile features without a model: wavelet statistics of each channel.

    Mean and standard deviation over time of the log power of each channel and wavelet: [B, 2·M·S].
    """

    def extract(batch: Mapping[str, jax.Array]) -> jax.Array:
        planes = coefficients(batch["signal"], config, sampling_rate_hz)[:, :, 0]
        power = jnp.log(jnp.square(planes) + 1e-4)
        statistics = jnp.stack([power.mean(axis=-1), power.std(axis=-1)], axis=-1)
        present = jnp.where(batch["channel_mask"][:, :, None, None], statistics, 0.0)
        return present.reshape(len(present), -1)

    return jax.jit(
        with_mesh(extract, mesh), in_shardings=batch_sharding(mesh), out_shardings=replicated(mesh)
    )
