"""Evaluate a fine-tuned model on its test split, or on other data."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import check_contamination
from physio_mae_jax.data.instances import Instances, collect_instances
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.opening import DataConfig, DatasetBundle, open_data, require_split
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.splits import SPLITS, is_leaking
from physio_mae_jax.data.unclear import warn_about_newly_recognized_names
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation.calibration import Calibration, load_calibration
from physio_mae_jax.evaluation.protocol import (
    EvaluationConfig,
    evaluate_and_report,
    instance_predictions,
)
from physio_mae_jax.evaluation.results import Evaluation
from physio_mae_jax.evaluation.segmentation import SegmentationEvaluation
from physio_mae_jax.evaluation.segmentation_predictions import SegmentationPredictions
from physio_mae_jax.evaluation.segmentation_report import report_segmentation
from physio_mae_jax.experiment.classifiers import BASELINES, MAE, build_classifier
from physio_mae_jax.experiment.run_directory import HINT, Seed, check_setting, read_run
from physio_mae_jax.experiment.run_metadata import count_devices, provenance
from physio_mae_jax.experiment.typed_config import ExperimentConfig, read_config, to_dataclass
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.classifier_spec import ClassifierSpec
from physio_mae_jax.training.model_spec import parse_model_config
from physio_mae_jax.training.prediction import predict_instances
from physio_mae_jax.training.sharding import check_batch_size, make_mesh
from physio_mae_jax.training.supervised_step import compile_prediction
from physio_mae_jax.training.supervised_trainable import BEST, load_best
from physio_mae_jax.types import JsonObject, Settings

ALL_SPLITS = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OtherData:
    """Data to evaluate on instead of that of the run; '' keeps the run's setting.

    Attributes:
        sets, root, path, split_rule: As in ``DataConfig``.
        num_threads: Number of reader threads.
    """

    sets: str
    root: str
    path: str
    split_rule: str
    num_threads: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(ExperimentConfig):
    """Settings of an evaluation; ``configs/evaluate.py`` explains each."""

    method: str
    num_devices: int
    batch_size: int
    init_from: str
    data: OtherData
    split: str
    evaluation: EvaluationConfig


def read(config: Settings) -> EvaluateConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    return read_config(EvaluateConfig, config)


def run(config: EvaluateConfig, workdir: Path, *, strict: bool) -> None:
    """Evaluate a fine-tuned model with its stored thresholds."""
    evaluate_run(build_evaluation(config, workdir, strict=strict))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationRun:
    """A previously fine-tuned model, and instances to evaluate it on.

    Attributes:
        workdir: Absolute path of the folder of the report.
        predict: Function from instances to logits [U, Y]; for segmentation to the classes of the
            samples of their windows.
        source, reader: Source of the recordings, and reader of their windows.
        instances: Instances to evaluate.
        calibration: Calibration and thresholds chosen on validation of its training run; None for
            segmentation.
        config: Settings of the evaluation.
        context: Context shown on the report.
    """

    workdir: Path
    predict: Callable[[Instances], np.ndarray]
    source: ConcatSource
    reader: WindowReader
    instances: Instances
    calibration: Calibration | None
    config: EvaluationConfig
    context: JsonObject


def evaluate_run(run: EvaluationRun) -> Evaluation | SegmentationEvaluation:
    """Evaluate a model with its stored thresholds."""
    predicted = run.predict(run.instances)
    if run.instances.kind == "segmentation":
        classes = SegmentationPredictions.of_instances(run.reader, run.instances, predicted)
        return report_segmentation(
            run.workdir,
            {"test": classes},
            run.source,
            run.reader,
            run.context,
            num_resamples=run.config.num_resamples,
        )
    predictions = instance_predictions(run.source, run.instances, predicted)
    return evaluate_and_report(
        run.workdir, {"test": predictions}, run.config, run.context, calibration=run.calibration
    )


def build_evaluation(config: EvaluateConfig, workdir: Path, *, strict: bool) -> EvaluationRun:
    """Load a fine-tuned model with its calibration, and open the data to evaluate it on.

    Args:
        config: Settings.
        workdir: Work folder, created if absent.
        strict: Whether to raise if the model was trained on the evaluation data.

    Raises:
        UserError: The run does not exist or is unfinished, or the data cannot be opened.
    """
    num_devices = count_devices(config.num_devices)
    check_batch_size(config.batch_size, 1, num_devices)
    settings = read_run(config.init_from)
    if workdir.resolve() == Path(config.init_from).resolve():
        raise ConfigError(
            f"--workdir={workdir} is the folder of the evaluated run, whose report would be "
            "overwritten; choose another --workdir."
        )
    past = _FinetunedRun.of(settings, config.init_from)
    calibration = _load_calibration(config.init_from)
    best = Path(config.init_from) / BEST
    with Checkpoints(best, keep=None) as checkpoints:
        checkpoints.reject_damage()
        model_spec = ClassifierSpec.from_json(checkpoints.model_spec(), best)
        seen = checkpoints.trained_on()
    if calibration is None and model_spec.labels.kind != "segmentation":
        raise _unfinished(config.init_from)
    warn_about_newly_recognized_names(config.init_from, model_spec.input.channels)
    opened, instances = _open_evaluation_data(config, past, model_spec)
    recordings = np.unique(instances.recording).tolist()
    contamination = check_contamination(seen, opened.source, recordings, strict=strict)
    workdir = atomic_files.prepare_workdir(workdir)
    predict = _prediction(config, past.architecture, model_spec, opened, make_mesh(num_devices))
    return EvaluationRun(
        workdir=workdir,
        predict=predict,
        source=opened.source,
        reader=opened.reader,
        instances=instances,
        calibration=calibration,
        config=config.evaluation,
        context=_context(config, past, opened, contamination.format_line()),
    )


class _FinetunedRun(NamedTuple):
    """Settings of a finished fine-tuning run."""

    architecture: str
    data: JsonObject
    task: str
    seed: int

    @classmethod
    def of(cls, settings: Settings, folder: str) -> "_FinetunedRun":
        command = check_setting(settings, "command", str, folder)
        if command != "finetune":
            raise ConfigError(
                f"the run in {folder} was a {command!r} run and has no head; evaluate its features "
                "with --config=configs/evaluate.py:method=probe, or fine-tune it."
            )
        architecture = check_setting(settings, "architecture", str, folder)
        if architecture not in (MAE, *BASELINES):
            raise DataError(f"{folder}: architecture {architecture!r} is unknown; {HINT}")
        data = check_setting(settings, "data", dict, folder)
        check_setting(settings, "data", DataConfig, folder)
        labels = check_setting(settings, "labels", dict, folder)
        return cls(
            architecture=architecture,
            data=data,
            task=check_setting(labels, "task", str, folder),
            seed=check_setting(settings, "seed", Seed, folder),
        )


def _open_evaluation_data(
    config: EvaluateConfig, past: _FinetunedRun, model_spec: ClassifierSpec
) -> tuple[DatasetBundle, Instances]:
    """Open the data of the run, or other data, and find its instances of the run's classes."""
    if config.split not in (*SPLITS, ALL_SPLITS):
        raise ConfigError(f"split must be one of {', '.join(SPLITS)}, all; got {config.split!r}.")
    changes: JsonObject = {name: value for name, value in vars(config.data).items() if value}
    if config.split == ALL_SPLITS:
        changes["split_rule"] = "none"
    settings = past.data | changes
    check_settings(settings, "data")
    data = to_dataclass(DataConfig, "data", settings)
    if is_leaking(data.split_rule):
        raise ConfigError(
            f"data.split_rule={data.split_rule!r} leaks, so the run cannot be evaluated on its own "
            "data; evaluate it on other data with --config.data.sets and --config.data.split_rule."
        )
    window = model_spec.input
    opened = open_data(
        data,
        window.sampling_rate_hz,
        window.num_samples,
        progress=jax.process_index() == 0,
    )
    channels = opened.reader.config.num_channels
    if past.architecture != MAE and channels != window.num_channels:
        raise ConfigError(
            f"{past.architecture} was trained on {window.num_channels} channels, but the data "
            f"has {channels}; the two must match."
        )
    split = "train" if config.split == ALL_SPLITS else config.split
    instances = model_spec.labels
    # In the order of the outputs; the data may define more classes.
    classes = instances.classes if instances.kind == "regression" else ",".join(instances.chosen)
    recordings = require_split(opened, split, data)
    return opened, collect_instances(
        opened.source, opened.reader, recordings, instances.settings(classes)
    )


def _prediction(
    config: EvaluateConfig,
    architecture: str,
    model_spec: ClassifierSpec,
    opened: DatasetBundle,
    mesh: Mesh,
) -> Callable[[Instances], np.ndarray]:
    """Load the model and return its prediction function."""
    encoder = None
    if architecture == MAE:
        where = f"the model in {config.init_from}"
        encoder = parse_model_config(model_spec.model, where).for_platform(jax.default_backend())
    labels = model_spec.labels
    head = _head(model_spec, config.init_from)
    model, _ = build_classifier(architecture, encoder, head, len(labels.names), labels.kind)
    shape = (model_spec.input.num_channels, model_spec.input.num_samples)
    params, model_state = load_best(
        Path(config.init_from), model, shape, mesh, opened.reader.config.num_channels
    )
    compiled = compile_prediction(model, labels.kind, mesh)
    mean, std = np.asarray(model_spec.targets.mean), np.asarray(model_spec.targets.std)

    def predict(instances: Instances) -> np.ndarray:
        predicted = predict_instances(
            lambda batch: compiled(params, model_state, batch),
            opened.reader,
            instances,
            mesh,
            config.batch_size,
            config.data.num_threads,
        )
        return predicted if labels.kind == "segmentation" else predicted * std + mean

    return predict


def _head(model_spec: ClassifierSpec, run: str) -> HeadConfig:
    """Return the settings of a head; for a baseline, only the number of its outputs."""
    if set(model_spec.head) == {"num_classes"}:
        return HeadConfig(num_classes=int(model_spec.head["num_classes"]))
    where = f"the head of the model in {run}"
    return check_types(HeadConfig, dict(model_spec.head), where, HINT)


def _load_calibration(run: str) -> Calibration | None:
    """Load the calibration of a finished run; None if only its evaluation is there."""
    path = Path(run) / "calibration.json"
    if path.is_file():
        return load_calibration(path)
    if (Path(run) / "evaluation.json").is_file():
        return None
    raise _unfinished(run)


def _unfinished(run: str) -> ConfigError:
    return ConfigError(
        f"the run in {run} has no calibration.json, so it is unfinished; repeat its command to "
        "resume it."
    )


def _context(
    config: EvaluateConfig, past: _FinetunedRun, opened: DatasetBundle, contamination: str
) -> JsonObject:
    """Return the context of the report, shown beside the metrics."""
    sets = config.data.sets or past.data["sets"]
    return {
        "title": f"{past.task} on {sets}, {config.split}",
        **provenance(),
        "data": opened.content_hashes,
        "split": {
            "rule": opened.subject_splits.rule,
            "hash": opened.subject_splits.hash,
            "name": config.split,
        },
        "contamination": contamination,
        "seeds": {"training": past.seed, "split": past.data["split_seed"]},
        "checkpoint": config.init_from,
        "model": past.architecture,
    }
