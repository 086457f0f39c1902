"""Evaluation of frozen features, extracted once: linear probe and nearest neighbours."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.evaluation.finetune import (
    EvaluationConfig,
    evaluate_and_report,
    instance_predictions,
    selection_metric,
)
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.probes import probe_of
from physio_mae_jax.evaluation.results import Evaluation
from physio_mae_jax.inference.compiled_encoder import encode_windows
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.signals.wavelet import coefficients
from physio_mae_jax.signals.wavelet_bank import WaveletConfig
from physio_mae_jax.training.prediction import predict_instances
from physio_mae_jax.training.sharding import batch_sharding, replicated, shard, with_mesh

_LOG = logging.getLogger(__name__)

Extract = Callable[[Mapping[str, jax.Array]], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeRun:
    """Everything an evaluation of frozen features consists of.

    Attributes:
        workdir: Absolute path of the folder of the report.
        extractors: Functions by name, from window entries [B, …] to features [B, D]; the report is
            that of the first one, which the others are compared with.
        method: Name of the method, 'probe' or 'knn'.
        refit: Whether to refit on training and validation, see ``evaluation.probes``.
        source, reader: Source and reader of the windows.
        instances: Labelled instances of 'train', 'validation' and 'test'.
        mesh: Device mesh the batch is sharded over.
        batch_size, num_threads: Windows per batch and reader threads of the extraction.
        config: Settings of the evaluation.
        context: Context shown on the report.
    """

    workdir: Path
    extractors: Mapping[str, Extract]
    method: str
    refit: bool
    source: ConcatSource
    reader: WindowReader
    instances: Mapping[str, Instances]
    mesh: Mesh
    batch_size: int
    num_threads: int
    config: EvaluationConfig
    context: dict[str, Any]


def evaluate_probe(run: ProbeRun) -> Evaluation:
    """Extract features, fit the probes, and write the report of the first extractor."""
    found: dict[str, dict[str, Predictions]] = {}
    chosen = {}
    for name, extract in run.extractors.items():
        features = {
            split: instance_features(run, extract, instances)
            for split, instances in run.instances.items()
        }
        found[name], chosen[name] = run_probe(run, features)
        _LOG.info("%s: %s on %d features", name, chosen[name], features["train"].shape[1])
    main, *others = found
    context = run.context | {"method": f"{run.method}, {chosen[main]}"}
    return evaluate_and_report(
        run.workdir,
        found[main],
        run.config,
        context,
        others={name: found[name]["test"] for name in others},
        name=main,
    )


def run_probe(
    run: ProbeRun, features: Mapping[str, np.ndarray]
) -> tuple[dict[str, Predictions], str]:
    """Predict validation and test from features [U, D] of each split; also return the choice."""
    targets = {split: instances.targets for split, instances in run.instances.items()}
    kind = run.instances["train"].kind
    metric = selection_metric(kind)[1]
    result = probe_of(run.method)(features, targets, kind, metric, refit=run.refit)
    predictions = {
        split: instance_predictions(run.source, run.instances[split], logits)
        for split, logits in result.logits.items()
    }
    return predictions, result.chosen


def instance_features(run: ProbeRun, extract: Extract, instances: Instances) -> np.ndarray:
    """Return features [U, D] float64, averaged over the windows of each instance."""
    return predict_instances(
        extract, run.reader, instances, run.mesh, run.batch_size, run.num_threads
    )


def encoder_extractor(
    config: MaeConfig, params: Any, mesh: Mesh, *, channel_independent: bool
) -> Extract:
    """Compile an encoder's mean token [B, D] float32 of windows, over a mesh."""

    def extract(params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
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
    """Compile features without a model: level and variability of each frequency of each channel.

    Mean and standard deviation over time of the log power of each channel and wavelet: [B, 2·M·S].
    """

    def extract(batch: Mapping[str, jax.Array]) -> jax.Array:
        planes = coefficients(batch["signal"], config, sampling_rate_hz)[:, :, 0]
        power = jnp.log(jnp.square(planes) + 1e-4)
        described = jnp.stack([power.mean(axis=-1), power.std(axis=-1)], axis=-1)
        present = jnp.where(batch["channel_mask"][:, :, None, None], described, 0.0)
        return present.reshape(len(present), -1)

    return jax.jit(
        with_mesh(extract, mesh), in_shardings=batch_sharding(mesh), out_shardings=replicated(mesh)
    )
