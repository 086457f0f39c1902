"""The embeddings of a recurrent stream, of a whole recording at once.

The recording is transformed and encoded in one piece by a model with ``lookahead_seconds``; only
the statistics change from block to block. Memory grows with the recording.
"""

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.data.window_transform import derive_window, plan_window
from physio_mae_jax.inference.recurrent.block_encoder import (
    SAMPLE_LIMIT,
    BlockEncoder,
    embed_columns,
    in_sample_units,
    normalized,
    plane_statistics,
    transform_block,
)
from physio_mae_jax.inference.recurrent.block_signal import BlockLayout
from physio_mae_jax.inference.recurrent.opening import blocks_of
from physio_mae_jax.inference.recurrent.sample_intake import SampleIntake
from physio_mae_jax.inference.recurrent.trailing import Statistics, TrailingSums, column_sums
from physio_mae_jax.models.tokenizer import NormalizedColumns
from physio_mae_jax.signals import wavelet

if TYPE_CHECKING:
    from physio_mae_jax.inference.encoder import Encoder


def encode_offline(
    encoder: "Encoder", samples: object, *, lookahead_seconds: object = None, **of: object
) -> np.ndarray:
    """Encode a whole recording as ``Encoder.stream`` with mode='recurrent' does.

    Args:
        encoder: Encoder of a model with a state space in all layers.
        samples: [M, n] samples; missing values are NaN.
        lookahead_seconds: Duration of a block; None as for a stream.
        **of: sampling_rate_hz, channels, units, gain, as in ``Encoder.encode``.

    Returns:
        [T, D] float32, an embedding of each whole column; NaN for columns with missing values.

    Raises:
        UserError: As for the stream.
    """
    encode, layout = blocks_of(encoder, lookahead_seconds, of)
    cfg, size = encode.config, encode.config.patch_samples
    given = layout.stream.checked(samples)
    num_columns = layout.stream.num_columns_of(given.shape[1])
    if not num_columns:
        return np.zeros((0, cfg.width), np.float32)
    signal, valid = _whole_signal(layout, given)
    own = slice(layout.reach, layout.reach + len(valid) * size)
    # One scale for the wavelets, which are linear; blocks have scales of their own below.
    common = TrailingSums(column_sums(signal[:, own], size), valid).statistics(size)
    rows, sums = transform_block(cfg, layout.reach, jnp.asarray(normalized(signal, common)))
    planes = np.asarray(rows), in_sample_units(np.asarray(sums, np.float64), common)
    columns = _normalized_columns(encode, signal[:, own], valid, planes, common)
    limited = dataclasses.replace(
        cfg, lookahead_seconds=encode.num_columns * size / cfg.sampling_rate_hz
    )
    program = jax.jit(
        lambda params, columns: embed_columns(
            limited, encode.channel_ids, {"params": params}, columns, jnp.asarray(valid)
        )[0]
    )
    found = np.asarray(program(encode.params, columns))
    return np.where(valid[:, None], found, np.nan)[:num_columns]


def _whole_signal(layout: BlockLayout, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return [m, reach + T · pt + reach] samples and [T] validity, of whole blocks."""
    stream = layout.stream
    received = SampleIntake.start(len(given)).receive(given, stream)
    info = dataclasses.replace(stream.info, num_samples=given.shape[1])
    total = stream.model.window.change(info).length_after(info.num_samples)
    config = dataclasses.replace(
        stream.model.window, num_channels=len(stream.plan.channels), num_samples=total
    )
    spec = plan_window(info, stream.plan, config, 0)
    made = derive_window(received[:-1, spec.first : spec.last], spec)
    size, hop = stream.model.column_samples, stream.hop_columns
    columns = -(-(total // size) // hop) * hop
    after = layout.reach + columns * size - total
    widths = [(0, 0), (layout.reach, max(0, after))]
    made = np.pad(made, widths, mode=layout.edge)  # type: ignore[call-overload]
    made = made[:, : columns * size + 2 * layout.reach]
    ratio = info.sampling_rate_hz / config.sampling_rate_hz
    edges = np.arange(columns + 1) * size * ratio
    valid = np.arange(1, columns + 1) * size <= total
    for index in np.flatnonzero(valid):
        first, last = int(edges[index]), int(np.ceil(edges[index + 1]))
        valid[index] = not received[-1, first:last].any()
    return made, valid


def _normalized_columns(
    encode: BlockEncoder,
    signal: np.ndarray,
    valid: np.ndarray,
    planes: tuple[np.ndarray, np.ndarray],
    common: Statistics,
) -> NormalizedColumns:
    """Normalize each block by the statistics of the columns up to its end.

    Args:
        encode: Encoder of blocks.
        signal: [m, T · pt].
        valid: [T] bool.
        planes: [m, C, S, T · pt] planes of the signal with the scale ``common``, and their sums
            [T, m, C, 2] in units of the signal.
        common: Statistics of the signal.
    """
    cfg, hop, size = encode.config, encode.num_columns, encode.config.patch_samples
    rows, of_planes = planes
    of_samples = column_sums(signal, size)
    samples, scalogram = np.empty_like(signal), np.empty_like(rows)
    for end in range(hop, len(valid) + 1, hop):
        last = slice(max(0, end - encode.memory_columns), end)
        block = slice((end - hop) * size, end * size)
        scale = TrailingSums(of_samples[last], valid[last]).statistics(size)
        scaled = normalized(signal[:, block], scale)
        samples[:, block] = np.clip(scaled, -SAMPLE_LIMIT, SAMPLE_LIMIT)
        statistics = plane_statistics(TrailingSums(of_planes[last], valid[last]), scale, cfg)
        unit = common.std / np.where(scale.std > 0, scale.std, np.inf)
        mean, std = (jnp.asarray(value[..., None, None], jnp.float32) for value in statistics)
        own = jnp.asarray(rows[..., block] * unit[:, None, None, None].astype(np.float32))
        scalogram[..., block] = np.asarray(
            wavelet.normalize_planes(own, wavelet.PlaneStatistics(mean, std))
        )
    return NormalizedColumns(jnp.asarray(scalogram)[None], jnp.asarray(samples)[None])
