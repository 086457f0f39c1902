"""Evaluate frozen features of an encoder by a linear probe or nearest neighbors."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jax.sharding import Mesh

from physio_mae_jax import atomic_files
from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.extractors import Extract, encoder_extractor, wavelet_extractor
from physio_mae_jax.evaluation.predictions import Predictions
from physio_mae_jax.evaluation.probes import get_probe
from physio_mae_jax.evaluation.protocol import (
    EvaluationConfig,
    evaluate_and_report,
    instance_predictions,
    selection_metric,
)
from physio_mae_jax.evaluation.results import Evaluation
from physio_mae_jax.experiment.classifiers import EncoderInit, init_from_encoder
from physio_mae_jax.experiment.configs import ProbeConfig
from physio_mae_jax.experiment.labeled_data import (
    LabeledData,
    open_labeled,
    report_context,
    require_window_labels,
)
from physio_mae_jax.experiment.pretrained_encoders import random_init
from physio_mae_jax.experiment.run_metadata import count_devices, write_run_metadata
from physio_mae_jax.experiment.typed_config import read_config
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.training.prediction import predict_instances
from physio_mae_jax.training.sharding import check_batch_size, make_mesh
from physio_mae_jax.types import JsonObject, Settings

_LOG = logging.getLogger(__name__)
# Sources of features.
PRETRAINED, RANDOM, WAVELETS = "pretrained", "random", "wavelets"
ENCODERS = (PRETRAINED, RANDOM, WAVELETS)


def read(config: Settings) -> ProbeConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    return read_config(ProbeConfig, config)


def run(config: ProbeConfig, workdir: Path, *, strict: bool) -> None:
    """Extract features, fit the probes and evaluate them."""
    evaluate_probe(build_probe(config, workdir, strict=strict))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeRun:
    """Everything an evaluation of frozen features consists of.

    Attributes:
        workdir: Absolute path of the folder of the report.
        extractors: Functions by name, from window entries [B, …] to features [B, D]; the first one
            is reported and the others are compared with it.
        method: Name of the method, 'probe' or 'knn'.
        refit: Whether to refit on training and validation, see ``evaluation.probes``.
        source, reader: Source and reader of the windows.
        instances: Labeled instances of 'train', 'validation' and 'test'.
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
    context: JsonObject


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
    result = get_probe(run.method)(features, targets, kind, metric, refit=run.refit)
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


def build_probe(
    config: ProbeConfig,
    workdir: Path,
    *,
    strict: bool,
    encoder_init: EncoderInit | None = None,
    data: LabeledData | None = None,
) -> ProbeRun:
    """Open labeled data and build its feature extractors.

    Args:
        config: Settings.
        workdir: Work folder, created if absent.
        strict: Whether to raise if the encoder was trained on test data.
        encoder_init, data: Encoder and data of these settings, if already loaded.

    Raises:
        UserError: An error that the user can fix.
    """
    num_devices = count_devices(config.num_devices)
    check_batch_size(config.batch_size, 1, num_devices)
    get_probe(config.method)
    names = config.encoder_names
    _check_encoders(names)
    encoder_init = encoder_init or _resolve_init(config, names)
    workdir = atomic_files.prepare_workdir(workdir)
    data = data or open_labeled(
        config.data, config.labels, encoder_init.sampling_rate_hz, encoder_init.num_samples
    )
    require_window_labels(data.instances["train"], config.labels.task, "a probe")
    data = data.with_fraction(config.label_fraction, config.seed)
    splits = ("train", "validation") if config.refit else ("train",)
    seen = data.training_provenance(
        encoder_init.pretrained.trained_on if encoder_init.pretrained else None, splits
    )
    contamination = data.contamination(seen, strict=strict)
    mesh = make_mesh(num_devices)
    write_run_metadata(config, workdir, data.model_spec(), data.split)
    return ProbeRun(
        workdir=workdir,
        extractors={
            name: _extractor(name, config, encoder_init, data.num_channels, mesh) for name in names
        },
        method=config.method,
        refit=config.refit,
        source=data.opened.source,
        reader=data.opened.reader,
        instances=data.instances,
        mesh=mesh,
        batch_size=config.batch_size,
        num_threads=config.data.num_threads,
        config=config.evaluation,
        context=report_context(config, data, contamination)
        | {
            "seeds": {"random encoder": config.seed, "split": config.data.split_seed},
            "label fraction": config.label_fraction,
            "checkpoint": config.origin or "none",
            "encoders": ", ".join(names),
        },
    )


def _check_encoders(names: Sequence[str]) -> None:
    """Raise a ConfigError unless at least one source of features is named, and all are known."""
    for name in names:
        if name not in ENCODERS:
            raise ConfigError(
                f"encoders must be among {', '.join(ENCODERS)}; got {name!r}. The first one is "
                "evaluated and the others are compared with it."
            )
    if not names:
        raise ConfigError("encoders must name at least one, such as pretrained; got an empty list.")


def _resolve_init(config: ProbeConfig, names: list[str]) -> EncoderInit:
    """Return the encoder whose features are evaluated, or the window for features without one."""
    if names != [WAVELETS]:
        return init_from_encoder(
            config.init_from,
            config.torch_weights,
            config.torch_config,
            config.labels.window_seconds,
        )
    model = config.model_from_scratch()
    return EncoderInit(model.sampling_rate_hz, model.num_samples, model, None)


def _extractor(
    name: str, config: ProbeConfig, encoder_init: EncoderInit, num_channels: int, mesh: Mesh
) -> Extract:
    """Return the function from windows to features."""
    encoder = encoder_init.config
    assert encoder is not None
    if name == WAVELETS:
        bank = config.model.wavelet if config.model else encoder.wavelet
        wavelet_bank(bank, encoder.sampling_rate_hz, encoder.num_samples)
        return wavelet_extractor(bank, encoder.sampling_rate_hz, mesh)
    start = encoder_init.pretrained
    alone = start is not None and start.channel_independent
    if name == RANDOM:
        params = random_init(encoder, num_channels, config.seed)
    else:
        assert start is not None
        params = start.params
    return encoder_extractor(encoder, params, mesh, channel_independent=alone)
