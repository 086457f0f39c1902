"""Export an encoder or a classifier as a graph for devices without JAX."""

import dataclasses
import itertools
import logging
from pathlib import Path, PurePath

import numpy as np

from physio_mae_jax.data.labels import recording_labels
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.recording_sets import RecordingSets
from physio_mae_jax.experiment.typed_config import ExperimentConfig, read_config
from physio_mae_jax.inference.classifier import Classifier
from physio_mae_jax.inference.edge.calibration import CalibrationSource
from physio_mae_jax.inference.edge.contract import Contract, Latency, read_edge_model
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.export import export_edge
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.inference.saved_model import is_saved_model
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.training.supervised_trainable import BEST
from physio_mae_jax.types import JsonObject, Settings

_LOG = logging.getLogger(__name__)
_DEFAULT = "default"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationData(RecordingSets):
    """Recordings for int8.

    Attributes:
        channels: Comma-separated names of the channels of the device; '' for all known ones.
    """

    channels: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationLabels:
    """Labels of the recordings for int8.

    Attributes:
        task: Task of level 'recording' of the prepared data sets; '' for no labels.
    """

    task: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeConfig(ExperimentConfig):
    """Settings of an export for devices; ``configs/edge.py`` explains each."""

    init_from: str
    file: str
    precision: str
    output: str
    num_channels: int
    labels: CalibrationLabels
    data: CalibrationData


def read(config: Settings) -> EdgeConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    settings = read_config(EdgeConfig, config)
    if settings.file != PurePath(settings.file).name:
        raise ConfigError(
            f"file is {settings.file!r}, a path; give the name of a file in the work folder, such "
            "as model.onnx, and the folder with --workdir."
        )
    if settings.precision == "float32":
        given = [
            name
            for name, value in (
                ("data", not settings.data.is_empty),
                ("data.channels", settings.data.channels),
                ("labels.task", settings.labels.task),
            )
            if value
        ]
        if given:
            raise ConfigError(
                f"{given[0]} is set, but only int8 is calibrated; add :precision=int8 to the "
                "config, or remove it."
            )
    return settings


def run(config: EdgeConfig, workdir: Path, *, strict: bool) -> None:
    """Export a model; ``strict`` has no effect, as nothing is evaluated on labels for a report."""
    del strict
    model, inputs = _model(config.init_from)
    settings: JsonObject = {"precision": config.precision}
    if config.output != _DEFAULT:
        settings["output"] = config.output
    if config.num_channels:
        settings["num_channels"] = config.num_channels
    if config.precision == "int8":
        inputs = _with_channels(inputs, config.data.channels)
        settings["calibration"] = _calibration(config, model)
    path = export_edge(model, inputs, workdir / config.file, **settings)
    _log_contract(read_edge_model(path)[1], path)


def _model(init_from: str) -> tuple[EdgeModel, ModelInput]:
    """Load a shipped or saved encoder, a pre-training run, or a fine-tuned classifier."""
    if not init_from:
        raise ConfigError(
            "init_from is empty; give the name of a shipped model such as physio-tiny, or the work "
            "folder of a pre-training or fine-tuning run, with --config.init_from=…"
        )
    if is_saved_model(init_from):
        encoder = Encoder.from_pretrained(init_from, batch_size=1, num_devices=1)
    elif (Path(init_from) / BEST).is_dir():
        classifier = Classifier.from_checkpoint(init_from, batch_size=1, num_devices=1)
        return EdgeModel.of_classifier(classifier.trained), classifier.input
    else:
        encoder = Encoder.from_checkpoint(init_from, batch_size=1, num_devices=1)
    return EdgeModel.of_encoder(encoder.trained), encoder.input


def _with_channels(inputs: ModelInput, channels: str) -> ModelInput:
    """Return windows of the named channels of a device."""
    if not channels:
        return inputs
    names = tuple(canonical_name(name.strip()) for name in channels.split(",") if name.strip())
    if unknown := [name for name in names if name not in inputs.channels]:
        raise ConfigError(
            f"data.channels has {unknown[0]!r}, which the model does not know; choose from "
            f"{', '.join(inputs.channels)}."
        )
    return dataclasses.replace(inputs, channels=names)


def _calibration(config: EdgeConfig, model: EdgeModel) -> CalibrationSource:
    """Open the recordings for int8, those with a label where a task is given."""
    if config.data.is_empty:
        raise ConfigError(
            "precision is int8, which needs recordings like those that the device will encode; set "
            "--config.data.sets=NAME of prepared data, --config.data.sets=folder with "
            "--config.data.path=DIR, or --config.data.files=A,B."
        )
    sources = config.data.open(skip_unreadable=False)
    combined = ConcatSource(sources, [range(len(one.recordings)) for one in sources])
    if not config.labels.task:
        return CalibrationSource(combined, unknown_channels="exclude")
    labels = recording_labels(combined, range(len(combined.recordings)), config.labels.task)
    ends = np.cumsum([0, *(len(one.recordings) for one in sources)])
    known = [
        np.flatnonzero(labels.known[begin:end]).tolist() for begin, end in itertools.pairwise(ends)
    ]
    rows = labels.values[labels.known]
    if model.decision:
        missing = [name for name in model.decision.classes if name not in labels.classes]
        if missing:
            raise ConfigError(
                f"task {config.labels.task!r} has no class {missing[0]!r}, which the model has; "
                f"its classes are {', '.join(labels.classes)}."
            )
        rows = rows[:, [labels.classes.index(name) for name in model.decision.classes]]
    return CalibrationSource(ConcatSource(sources, known), rows, unknown_channels="exclude")


def _log_contract(contract: Contract, path: Path) -> None:
    """Log what was written and measured."""
    card = contract.card
    _LOG.info(
        "%s: %s of %d channels at most in %s, %.2f MB; differs from JAX by %.1e of the largest",
        *(path, contract.output, contract.num_channels, contract.precision),
        *(card.num_bytes / 1e6, card.float32_agreement.relative_error),
    )
    if card.quantization:
        found = card.quantization.agreement
        texts = [f"cosine {found.mean_cosine:.4f}, at worst {found.min_cosine:.4f}"]
        texts.append(f"same neighbor {found.same_neighbor:.1%}")
        if found.same_decision is not None:
            texts = [f"same decisions {found.same_decision:.1%}"]
        if found.auroc is not None:
            texts.append(f"AUROC {found.auroc:.4f} instead of {found.reference_auroc:.4f}")
        _LOG.info("int8 on %d held-back windows: %s", found.num_windows, ", ".join(texts))
    times: dict[str, Latency] = dict(card.latency)
    listed = ", ".join(f"{name} {one.median_ms:.1f}" for name, one in times.items())
    _LOG.info("milliseconds for a window, median on this machine: %s", listed)
