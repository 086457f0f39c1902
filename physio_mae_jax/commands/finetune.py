"""Fine-tune a model on labels, and evaluate it once on held-out subjects."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.data.instances import Instances
from physio_mae_jax.data.labeled_batches import labeled_training_batches
from physio_mae_jax.data.opening import reject_duplicate_channels
from physio_mae_jax.data.pipeline import LoaderConfig
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.evaluation.protocol import (
    EvaluationConfig,
    evaluate_and_report,
    instance_predictions,
    selection_metric,
)
from physio_mae_jax.evaluation.results import Evaluation
from physio_mae_jax.evaluation.segmentation import SegmentationEvaluation
from physio_mae_jax.evaluation.segmentation_predictions import SegmentationPredictions
from physio_mae_jax.evaluation.segmentation_report import report_segmentation
from physio_mae_jax.experiment.classifiers import EncoderInit, build_supervised_spec, resolve_init
from physio_mae_jax.experiment.configs import FinetuneConfig
from physio_mae_jax.experiment.labeled_data import LabeledData, open_labeled, report_context
from physio_mae_jax.experiment.run_metadata import (
    count_channel_names,
    count_devices,
    write_run_metadata,
)
from physio_mae_jax.experiment.typed_config import read_config
from physio_mae_jax.training.loop import TrainingRun, train
from physio_mae_jax.training.sharding import check_batch_size, check_devices, make_mesh
from physio_mae_jax.training.supervised_trainable import SupervisedTrainable, load_best
from physio_mae_jax.types import JsonObject, Settings

_LOG = logging.getLogger(__name__)


def read(config: Settings) -> FinetuneConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    return read_config(FinetuneConfig, config)


def run(config: FinetuneConfig, workdir: Path, *, strict: bool) -> None:
    """Fine-tune a model and evaluate it."""
    finetune(build_finetuning(config, workdir, strict=strict))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneRun:
    """Everything a fine-tuning and its evaluation consist of.

    Attributes:
        training: Run of the training loop.
        trainable: Trainable of that run.
        source: Source of the recordings.
        instances: Labeled instances of 'train', 'validation' and 'test'.
        target_mean, target_std: Mean and standard deviation [Y] that standardize regression
            targets; 0 and 1 otherwise.
        config: Settings of the evaluation.
        context: Context shown on the report.
    """

    training: TrainingRun
    trainable: SupervisedTrainable
    source: ConcatSource
    instances: Mapping[str, Instances]
    target_mean: np.ndarray
    target_std: np.ndarray
    config: EvaluationConfig
    context: JsonObject


def finetune(run: FinetuneRun) -> Evaluation | SegmentationEvaluation:
    """Train, select the best model on validation, and evaluate it once on test."""
    train(run.training)
    _LOG.info(
        "best on validation at step %d: %s %.4f; evaluating on test",
        *(run.trainable.best.step, run.trainable.metric_name, run.trainable.best.value),
    )
    params, model_state = load_best(
        run.training.workdir,
        run.trainable.spec.model,
        run.trainable.window_shape,
        run.trainable.mesh,
    )

    predicted = {
        split: run.trainable.predict(params, model_state, run.instances[split])
        for split in ("validation", "test")
    }
    context = run.context | {"best step": run.trainable.best.step}
    if run.trainable.spec.kind == "segmentation":
        return _report_segmentation(run, predicted, context)
    predictions = {
        split: instance_predictions(
            run.source, run.instances[split], logits * run.target_std + run.target_mean
        )
        for split, logits in predicted.items()
    }
    return evaluate_and_report(run.training.workdir, predictions, run.config, context)


def _report_segmentation(
    run: FinetuneRun, predicted: Mapping[str, np.ndarray], context: JsonObject
) -> SegmentationEvaluation:
    """Evaluate the predicted classes of samples of each split."""
    reader = run.trainable.reader
    return report_segmentation(
        run.training.workdir,
        {
            split: SegmentationPredictions.of_instances(reader, run.instances[split], classes)
            for split, classes in predicted.items()
        },
        run.source,
        reader,
        context,
        num_resamples=run.config.num_resamples,
    )


def build_finetuning(
    config: FinetuneConfig,
    workdir: Path,
    *,
    strict: bool,
    encoder_init: EncoderInit | None = None,
    data: LabeledData | None = None,
) -> FinetuneRun:
    """Open data and encoder, and build the parts of a run.

    Args:
        config: Settings.
        workdir: Work folder, created if absent; the settings are written into it.
        strict: Whether to raise if test data was used to pre-train the encoder.
        encoder_init, data: Initial weights and data of these settings, if already loaded.

    Raises:
        UserError: An error that the user can fix; raised before anything is compiled.
    """
    num_devices = count_devices(config.num_devices)
    check_devices(num_devices, config.fsdp)
    check_batch_size(config.batch_size, 1, num_devices)
    encoder_init = _with_recorded_channel_names(encoder_init or resolve_init(config), workdir)
    workdir = atomic_files.prepare_workdir(workdir)
    data = _training_data(config, encoder_init, data)
    spec, model_spec = build_supervised_spec(
        config, encoder_init, data.instances["train"], data.num_channels
    )
    pretrained = encoder_init.pretrained
    seen = data.training_provenance(pretrained.trained_on if pretrained else None)
    contamination = data.contamination(seen, strict=strict)
    mean, std = data.target_statistics()
    metric_name, metric = selection_metric(data.kind)
    trainable = SupervisedTrainable(
        workdir=workdir,
        spec=spec,
        mesh=make_mesh(num_devices, config.fsdp),
        window_shape=(data.num_channels, encoder_init.num_samples),
        encoder=pretrained.for_training() if pretrained else None,
        reader=data.opened.reader,
        validation=standardize_targets(data.instances["validation"], mean, std),
        metric=metric,
        metric_name=metric_name,
        batch_size=config.batch_size,
        num_threads=config.data.num_threads,
        patience_steps=config.patience * config.loop.evaluate_every_steps,
        model_spec=model_spec | data.model_spec(),
        trained_on=seen,
    )
    write_run_metadata(config, workdir, trainable.model_spec, data.split)
    return FinetuneRun(
        training=_training_run(config, trainable, data, (mean, std)),
        trainable=trainable,
        source=data.opened.source,
        instances=data.instances,
        target_mean=mean,
        target_std=std,
        config=config.evaluation,
        context=_context(config, report_context(config, data, contamination)),
    )


def _training_data(
    config: FinetuneConfig, encoder_init: EncoderInit, data: LabeledData | None
) -> LabeledData:
    """Open the data unless they are given, check their channels, and keep a fraction of them."""
    data = data or open_labeled(
        config.data, config.labels, encoder_init.sampling_rate_hz, encoder_init.num_samples
    )
    if encoder_init.config is not None and encoder_init.config.channel_embedding:
        reject_duplicate_channels(data.opened, encoder_init.config.num_channel_names)
    if config.auxiliary.task:
        data = data.with_auxiliary(config.auxiliary.task)
    return data.with_fraction(config.label_fraction, config.seed)


def _with_recorded_channel_names(encoder_init: EncoderInit, workdir: Path) -> EncoderInit:
    """Give a new encoder as many channel names as the model already trained in a work folder."""
    if encoder_init.config is None or encoder_init.pretrained is not None:
        return encoder_init
    names = count_channel_names(workdir)
    return encoder_init._replace(
        config=dataclasses.replace(encoder_init.config, num_channel_names=names)
    )


def _training_run(
    config: FinetuneConfig,
    trainable: SupervisedTrainable,
    data: LabeledData,
    statistics: tuple[np.ndarray, np.ndarray],
) -> TrainingRun:
    """Build the run on the training instances, their targets standardized by (mean, std)."""
    training = standardize_targets(data.instances["train"], *statistics)
    reader = data.opened.reader
    loader = LoaderConfig(
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=config.data.num_threads,
        augment=config.data.augment,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    return TrainingRun(
        workdir=trainable.workdir,
        trainable=trainable,
        loop=config.loop,
        mesh=trainable.mesh,
        batch_size=config.batch_size,
        seed=config.seed,
        training=labeled_training_batches(
            reader, training, loader, balanced=config.balanced_sampling
        ),
        recordings=data.opened.source.recordings,
        sampling_rate_hz=reader.config.sampling_rate_hz,
        model_spec=trainable.model_spec,
        trained_on=trainable.trained_on,
    )


def standardize_targets(instances: Instances, mean: np.ndarray, std: np.ndarray) -> Instances:
    """Return instances with standardized targets; class targets stay 0 or 1."""
    if instances.kind != "regression":
        return instances
    targets = ((instances.targets - mean) / std).astype(np.float32)
    return dataclasses.replace(instances, targets=targets)


def _context(config: FinetuneConfig, context: JsonObject) -> JsonObject:
    if config.auxiliary.task:
        context = context | {"auxiliary task": config.auxiliary.task}
    return context | {
        "seeds": {"training": config.seed, "split": config.data.split_seed},
        "label fraction": config.label_fraction,
        "checkpoint": config.origin or "from scratch",
        "model": config.architecture,
    }
