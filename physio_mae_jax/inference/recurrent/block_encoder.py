"""The compiled programs that encode one block, and the state between blocks."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.inference.recurrent.block_signal import BlockSamples
from physio_mae_jax.inference.recurrent.trailing import Statistics, TrailingSums, column_sums
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.mixers.carried_recurrence import RECURRENT
from physio_mae_jax.models.tokenizer import NormalizedColumns
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.signals import wavelet
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.types import Params, PyTree

# As in training: of samples (``window_transform.NORMALIZATION``) and of wavelets.
SAMPLE_LIMIT = 10.0
_MIN_PLANE_STD = 1e-5
# A state older than this many columns is forgotten, so that its time need not be exact.
_OLDEST = -(2**20)


class RecurrentState(NamedTuple):
    """What is left of the blocks before; its size does not depend on their number.

    Attributes:
        layers: Collection ``RECURRENT`` of the encoder, times relative to the next block.
        samples: Sums of the samples of the last columns, [K, m, 2].
        planes: Sums of the wavelet planes of the last columns, [K, m, C, 2], in units of samples.
    """

    layers: PyTree
    samples: TrailingSums
    planes: TrailingSums


@dataclasses.dataclass(frozen=True, eq=False)
class BlockEncoder:
    """An encoder of blocks of columns.

    Attributes:
        config: Model, without ``lookahead_seconds``.
        params: Parameters of the encoder.
        channel_ids: [m] ids of the channels.
        num_columns: Columns Q of a block.
    """

    config: MaeConfig
    params: Params
    channel_ids: np.ndarray
    num_columns: int

    @property
    def memory_columns(self) -> int:
        """Columns that the statistics are of: those of a window, or of a block if it is longer."""
        return max(self.config.num_columns, self.num_columns)

    @property
    def reach(self) -> int:
        """Samples on each side of a block that its wavelets and differences read."""
        return bank_of(self.config).padding + 1

    def start(self) -> RecurrentState:
        """Return the state before the first block."""
        cfg, channels = self.config, len(self.channel_ids)
        head = cfg.width // cfg.num_heads
        sums = jnp.zeros((cfg.depth, channels, cfg.state_size, cfg.num_heads, head))
        blocks: dict[str, PyTree] = {
            "time_state_space": {
                "sums": sums,
                "time": jnp.zeros((cfg.depth, channels), jnp.int32),
            }
        }
        if cfg.channel_attention and cfg.channel_smoothing and channels > 1:
            shape = (cfg.depth, 1, channels, 1, cfg.num_rows, cfg.width)
            blocks["column"] = jnp.zeros(shape, cfg.dtype)
        return RecurrentState(
            {"stack": {"blocks": blocks}},
            TrailingSums.empty((channels,)),
            TrailingSums.empty((channels, cfg.wavelet.num_planes)),
        )

    def __call__(
        self, block: BlockSamples, state: RecurrentState
    ) -> tuple[np.ndarray, np.ndarray, RecurrentState]:
        """Encode a block.

        Args:
            block: Samples with the reach of the wavelets.
            state: State after the blocks before.

        Returns:
            Embeddings [Q, D] float32 of the columns, means over channels and rows, undefined where
            a column is not valid; [m] bool, whether each channel varies; and the state after the
            block.
        """
        size, limit = self.config.patch_samples, self.memory_columns
        own = block.values[:, self.reach : -self.reach]
        samples = state.samples.extended(column_sums(own, size), block.valid, limit)
        scale = samples.statistics(size)
        scaled = normalized(block.values, scale)
        coefficients, sums = self._transform(scaled)
        of_planes = in_sample_units(np.asarray(sums, np.float64), scale)
        planes = state.planes.extended(of_planes, block.valid, limit)
        statistics = plane_statistics(planes, scale, self.config)
        embeddings, layers = self._encode(
            self.params,
            state.layers,
            (
                coefficients,
                np.clip(scaled[:, self.reach : -self.reach], -SAMPLE_LIMIT, SAMPLE_LIMIT),
            ),
            tuple(np.asarray(value, np.float32) for value in statistics),
            block.valid,
        )
        return np.asarray(embeddings), scale.std > 0, RecurrentState(layers, samples, planes)

    @functools.cached_property
    def _transform(self) -> jax.stages.Wrapped:
        return jax.jit(functools.partial(transform_block, self.config, self.reach))

    @functools.cached_property
    def _encode(self) -> jax.stages.Wrapped:
        return jax.jit(functools.partial(_encode_block, self.config, self.channel_ids))


def bank_of(config: MaeConfig) -> wavelet.WaveletBank:
    """Return the wavelets of a model's windows, each without its mean.

    The mean is about 1e-4 of the peak. Without it, no offset reaches the planes: that of one block
    is not that of the next.
    """
    bank = wavelet_bank(config.wavelet, config.sampling_rate_hz, config.num_samples)
    kernels = bank.kernels - bank.kernels.mean(axis=1, keepdims=True)
    return dataclasses.replace(bank, kernels=kernels)


def normalized(values: np.ndarray, scale: Statistics) -> np.ndarray:
    """Z-score [m, n]; flat channels become 0."""
    varies = scale.std > 0
    scaled = (values - scale.mean[:, None]) / np.where(varies, scale.std, 1.0)[:, None]
    return np.where(varies[:, None], scaled, 0.0).astype(np.float32)


def in_sample_units(sums: np.ndarray, scale: Statistics) -> np.ndarray:
    """Convert sums [K, m, C, 2] of planes of normalized samples to those of the samples."""
    return sums * np.stack([scale.std, np.square(scale.std)], axis=-1)[:, None]


def plane_statistics(planes: TrailingSums, scale: Statistics, config: MaeConfig) -> Statistics:
    """Return the statistics [m, C] of planes of samples that ``scale`` normalizes."""
    found = planes.statistics(config.wavelet.num_scales * config.patch_samples)
    unit = np.where(scale.std > 0, scale.std, 1.0)[:, None]
    return Statistics(found.mean / unit, np.maximum(found.std / unit, _MIN_PLANE_STD))


def transform_block(
    config: MaeConfig, reach: int, samples: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return wavelet planes [m, C, S, L] of [m, reach + L + reach], and their sums by column.

    The sums are [L / pt, m, C, 2], of the values and of their squares.
    """
    planes = wavelet.difference_planes(samples[None], config.wavelet)
    rows = wavelet.transform(planes, bank_of(config))[0, ..., reach:-reach]
    columns = rows.reshape(*rows.shape[:-1], -1, config.patch_samples)
    sums = jnp.stack([columns, jnp.square(columns)], axis=-1).sum(axis=(2, 4))
    return rows, jnp.moveaxis(sums, 2, 0)


def embed_columns(
    config: MaeConfig,
    channel_ids: np.ndarray,
    variables: Mapping[str, PyTree],
    columns: NormalizedColumns,
    valid: jax.Array,
) -> tuple[jax.Array, PyTree]:
    """Return embeddings [K, D] of the columns of one recording, and the collection ``RECURRENT``.

    Args:
        config: Model.
        channel_ids: [m] ids of the channels.
        variables: Parameters and, to carry on, the state.
        columns: The columns, for a batch of one.
        valid: [K] bool.
    """
    present = jnp.ones((1, len(channel_ids)), bool)
    windows = Windows(columns.samples, present, jnp.asarray(channel_ids)[None])
    latents, changed = TransformerEncoder(config).apply(
        variables, columns, windows, valid[None], method="columns", mutable=[RECURRENT]
    )
    return latents.astype(jnp.float32).mean(axis=(1, 3))[0], changed.get(RECURRENT)


def _encode_block(
    config: MaeConfig,
    channel_ids: np.ndarray,
    params: Params,
    layers: PyTree,
    signal: tuple[jax.Array, jax.Array],
    statistics: tuple[jax.Array, jax.Array],
    valid: jax.Array,
) -> tuple[jax.Array, PyTree]:
    rows, samples = signal
    mean, std = (value[..., None, None] for value in statistics)
    scalogram = wavelet.normalize_planes(rows, wavelet.PlaneStatistics(mean, std))
    columns = NormalizedColumns(scalogram[None], samples[None])
    variables = {"params": params, RECURRENT: layers}
    embeddings, layers = embed_columns(config, channel_ids, variables, columns, valid)
    mixer = layers["stack"]["blocks"]["time_state_space"]
    # Seen from the next block.
    mixer["time"] = jnp.maximum(cast(jax.Array, mixer["time"]) - len(valid), _OLDEST)
    return embeddings, layers
