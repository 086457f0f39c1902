"""Benchmark cases of a pre-training config."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np

from physio_mae_jax.benchmarks.cases import BenchmarkSpec
from physio_mae_jax.benchmarks.flops import TokenCounts
from physio_mae_jax.data.opening import open_data, require_split
from physio_mae_jax.data.pipeline import training_batches
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.configs import PretrainConfig
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec, loader_config
from physio_mae_jax.experiment.run_metadata import check_attention, count_devices
from physio_mae_jax.models.decoder import num_decoded_columns
from physio_mae_jax.objectives.masking import Mask
from physio_mae_jax.training.pretrain_step import PretrainSpec
from physio_mae_jax.training.sharding import check_batch_size, check_devices, make_mesh

_MAX_CHANNELS = 10_000
_MAX_REPEATS = 100_000


def build_benchmark(
    config: PretrainConfig, num_channels: int, repeats: int, *, with_data: bool
) -> BenchmarkSpec:
    """Build the benchmark cases; no file is opened unless ``with_data``.

    Args:
        config: Settings of the pre-training.
        num_channels: Number of channels M of a window.
        repeats: Number of repeats of each timing.
        with_data: Whether to measure real batches too, with all channels of the data.

    Raises:
        UserError: a setting is wrong, or the data cannot be opened.
    """
    if not (1 <= num_channels <= _MAX_CHANNELS and 1 <= repeats <= _MAX_REPEATS):
        raise ConfigError(
            f"channels={num_channels} must be from 1 to {_MAX_CHANNELS:,} and repeats={repeats} "
            f"from 1 to {_MAX_REPEATS:,}."
        )
    num_devices = count_devices(config.num_devices)
    check_devices(num_devices, config.fsdp)
    check_batch_size(config.batch_size, config.accumulation_steps, num_devices)
    spec = build_pretrain_spec(config)
    check_attention(spec.model.config)
    batches = None
    if with_data:
        batches, num_channels = _real_batches(config, spec)
    return BenchmarkSpec(
        spec=spec,
        mesh=make_mesh(num_devices, config.fsdp),
        batch_size=config.batch_size,
        num_channels=num_channels,
        seen=token_counts(spec, num_channels),
        repeats=repeats,
        batches=batches,
    )


def token_counts(spec: PretrainSpec, num_channels: int) -> TokenCounts:
    """Return the fraction of a window that the masks of a spec leave visible."""
    cfg = spec.model.config
    examples = {"channel_mask": jax.ShapeDtypeStruct((1, num_channels), bool)}
    drawn: Mask = jax.eval_shape(spec.training_mask, jax.random.key(0), examples)
    count = math.prod(drawn.visible_ids.shape[1:])
    predicted = cfg.num_columns if drawn.predicted_ids is None else drawn.predicted_ids.shape[1]
    if cfg.encoder_attention == "joint":
        return TokenCounts(count / num_channels, cfg.num_columns, predicted, cfg.num_columns)
    if drawn.visible_ids.ndim == 2:
        decoded = num_decoded_columns(cfg, drawn.visible_ids, drawn.predicted_ids)
        return TokenCounts(count * cfg.num_rows, count, predicted, decoded)
    return TokenCounts(count, cfg.num_columns, predicted, cfg.num_columns)


def _real_batches(
    config: PretrainConfig, spec: PretrainSpec
) -> tuple[Callable[[], Iterator[Mapping[str, np.ndarray]]], int]:
    """Open the data the way training opens it."""
    cfg = spec.model.config
    opened = open_data(config.data, cfg.sampling_rate_hz, cfg.num_samples, progress=True)
    training = require_split(opened, "train", config.data)
    dataset = training_batches(opened.reader, training, loader_config(config, opened))
    return functools.partial(iter, dataset), opened.reader.config.num_channels
