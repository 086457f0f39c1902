"""Labeled data of a task: opened, split, and ready for training and evaluation."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from physio_mae_jax.data.auxiliary_targets import auxiliary_targets
from physio_mae_jax.data.contamination import (
    ContaminationReport,
    TrainingProvenance,
    check_contamination,
)
from physio_mae_jax.data.fingerprints import text_hash
from physio_mae_jax.data.instances import Instances, LabelConfig, collect_instances
from physio_mae_jax.data.label_fraction import choose_fraction
from physio_mae_jax.data.opening import DataConfig, DatasetBundle, open_data, require_split
from physio_mae_jax.data.splits import SPLITS, divide_leaking, is_leaking
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.configs import LabeledConfig
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.types import JsonMapping, JsonObject

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabeledData:
    """Instances of 'train', 'validation' and 'test', and their recordings.

    Attributes:
        opened: Source, reader and split of the recordings.
        instances: Labeled instances of each split, by the name of the split.
        split: Content of split.json.
        label_config: Settings that selected the instances.
    """

    opened: DatasetBundle
    instances: Mapping[str, Instances]
    split: JsonMapping
    label_config: LabelConfig

    @property
    def kind(self) -> str:
        """'multilabel', 'multiclass', 'regression' or 'segmentation'."""
        return self.instances["train"].kind

    @property
    def num_channels(self) -> int:
        """Number of channels M of a window."""
        return self.opened.reader.config.num_channels

    def as_recordings(self, split: str) -> list[int]:
        """Return the recordings that contain the instances of a split."""
        return np.unique(self.instances[split].recording).tolist()

    def with_fraction(self, fraction: float, seed: int) -> "LabeledData":
        """Keep a fraction of the training subjects, see ``data.label_fraction``."""
        instances = self.instances["train"]
        recordings = self.opened.source.recordings
        subjects = [recordings[int(index)].subject_key for index in instances.recording]
        kept = choose_fraction(instances, subjects, fraction, seed)
        if fraction < 1:
            _LOG.info(
                "labels of %g %% of the subjects: %d training instances; %s",
                fraction * 100,
                len(kept),
                _format_counts(kept),
            )
        return dataclasses.replace(self, instances={**self.instances, "train": kept})

    def with_auxiliary(self, task: str) -> "LabeledData":
        """Add the targets of an auxiliary task to the training instances.

        Raises:
            UserError: The task is the one that is evaluated or does not label recordings, or the
                data sets do not have it.
        """
        if task == self.label_config.task or self.kind == "segmentation":
            found = "labels samples" if self.kind == "segmentation" else "is the same task"
            raise ConfigError(
                f"auxiliary.task={task!r} cannot be trained beside labels.task="
                f"{self.label_config.task!r}, which {found}; choose another task that labels "
                "recordings, or '' for none."
            )
        instances = self.instances["train"]
        auxiliary = auxiliary_targets(self.opened.source, instances.recording.tolist(), task)
        _LOG.info(
            "auxiliary task %s: %d classes, known of %d of %d training instances",
            *(task, len(auxiliary.classes), auxiliary.num_known, len(instances)),
        )
        trained = dataclasses.replace(instances, auxiliary=auxiliary)
        return dataclasses.replace(self, instances={**self.instances, "train": trained})

    def training_provenance(
        self, before: TrainingProvenance | None, splits: Sequence[str] = ("train",)
    ) -> TrainingProvenance:
        """Hash the training data of a model trained here on ``splits``, merged with ``before``."""
        seen = [index for split in splits for index in self.as_recordings(split)]
        record = TrainingProvenance.from_recordings(self.opened.source, seen)
        return record if before is None else record.merge(before)

    def contamination(self, seen: TrainingProvenance, *, strict: bool) -> ContaminationReport:
        """Look for training data of a model in the test data, see ``data.contamination``."""
        return check_contamination(
            seen, self.opened.source, self.as_recordings("test"), strict=strict
        )

    def target_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation [Y] of the training targets; 0 and 1 for classes."""
        targets = self.instances["train"].targets
        if self.kind != "regression":
            return np.zeros(targets.shape[1]), np.ones(targets.shape[1])
        return targets.mean(axis=0), np.maximum(targets.std(axis=0), 1e-6)

    def model_spec(self) -> JsonObject:
        """Return the model_spec of a checkpoint's input and outputs."""
        mean, std = self.target_statistics()
        return {
            "input": self.opened.input_spec.to_json(),
            "split": {name: self.split[name] for name in ("rule", "hash")},
            "labels": dataclasses.asdict(self.label_config)
            | {"kind": self.kind, "names": list(self.instances["train"].classes)},
            "targets": {"mean": mean.tolist(), "std": std.tolist()},
        }


def open_labeled(
    data: DataConfig, labels: LabelConfig, sampling_rate_hz: float, num_samples: int
) -> LabeledData:
    """Open the data of a task and list its instances.

    Args:
        data: Which recordings, and how they are split.
        labels: Which instances of them, and their task.
        sampling_rate_hz, num_samples: Sampling rate (Hz) and length L (samples) of a window.

    Raises:
        UserError: Data cannot be opened; a split has no recordings or no labels; a class is in no
            training instance or in all of them; or validation has only one class.
    """
    leaking = is_leaking(data.split_rule)
    opened = open_data(
        dataclasses.replace(data, split_rule="none") if leaking else data,
        sampling_rate_hz,
        num_samples,
        progress=jax.process_index() == 0,
    )
    if leaking:
        instances, description = _leaky_instances(opened, labels, data)
    else:
        instances = {
            split: collect_instances(
                opened.source, opened.reader, require_split(opened, split, data), labels
            )
            for split in SPLITS
        }
        description = opened.subject_splits.to_json()
    for name, split_instances in instances.items():
        _LOG.info(
            "%s: %d instances of %d recordings; %s",
            *(
                name,
                len(split_instances),
                len(np.unique(split_instances.recording)),
                _format_counts(split_instances),
            ),
        )
    _check_classes(instances, labels.task, data.split_rule)
    return LabeledData(opened=opened, instances=instances, split=description, label_config=labels)


def require_window_labels(instances: Instances, task: str, command: str) -> None:
    """Raise a ConfigError if a task labels samples, which a command has no metrics for."""
    if instances.kind == "segmentation":
        raise ConfigError(
            f"task {task!r} labels samples, and {command} needs labels of windows; fine-tune with "
            "configs/finetune.py, or choose another labels.task."
        )


def _leaky_instances(
    opened: DatasetBundle, settings: LabelConfig, data: DataConfig
) -> tuple[dict[str, Instances], JsonObject]:
    """Split instances regardless of subject, to measure the optimistic bias of a leaky split."""
    all_instances = collect_instances(
        opened.source, opened.reader, opened.splits["train"], settings
    )
    divided = divide_leaking(len(all_instances), data.split_rule, data.split_seed)
    instances = {split: all_instances.subset(divided[split]) for split in SPLITS}
    ids = {split: instances[split].ids.tolist() for split in SPLITS}
    _LOG.warning(
        "split %r LEAKS: training and test share subjects. It measures the optimistic bias of "
        "a leaky split and is not a valid result.",
        data.split_rule,
    )
    return instances, {
        "rule": data.split_rule,
        "instances": ids,
        "hash": text_hash(json.dumps(ids)),
    }


def _check_classes(instances: Mapping[str, Instances], task: str, rule: str) -> None:
    """Raise if a class cannot be learned or no model can be selected.

    Log what cannot be evaluated.
    """
    if instances["train"].kind == "regression":
        return
    if instances["train"].kind == "segmentation":
        _check_sample_classes(instances, task, rule)
        return
    for name, count in zip(instances["train"].classes, _positives(instances["train"]), strict=True):
        if not 0 < count < len(instances["train"]):
            raise ConfigError(
                f"class {name!r} of task {task!r} is in {'every' if count else 'no'} "
                f"training instance of split {rule!r}, so it cannot be learned; exclude it with "
                "--config.labels.classes=..., or use another split."
            )
    for split in SPLITS[1:]:
        counts = _positives(instances[split])
        undecided = [
            name
            for name, count in zip(instances[split].classes, counts, strict=True)
            if not 0 < count < len(instances[split])
        ]
        if split == "validation" and len(undecided) == len(counts):
            raise DataError(
                f"validation of split {rule!r} has one class only "
                f"({_format_counts(instances[split])}), so no model can be selected on it; "
                "validate on more subjects, or use another split."
            )
        if undecided:
            _LOG.warning(
                "%s has only positives or only negatives of %s", split, ", ".join(undecided)
            )


def _check_sample_classes(instances: Mapping[str, Instances], task: str, rule: str) -> None:
    """Raise if a class of intervals labels no sample of training, or of validation."""
    for split in SPLITS[:2]:
        counts = instances[split].targets.sum(axis=0)[1:].tolist()
        for name, count in zip(instances[split].classes[1:], counts, strict=True):
            if not count:
                raise ConfigError(
                    f"class {name!r} of task {task!r} labels no sample of {split} with split "
                    f"{rule!r}; exclude it with --config.labels.classes=..., or use another split."
                )


def _positives(instances: Instances) -> Sequence[int]:
    return (instances.targets > 0).sum(axis=0).astype(int).tolist()


def _format_counts(instances: Instances) -> str:
    if instances.kind == "segmentation":
        counts = instances.targets.sum(axis=0, dtype=np.float64).astype(int).tolist()
        named = zip(instances.classes, counts, strict=True)
        return f"samples: {', '.join(f'{name} {count:,}' for name, count in named)}"
    if instances.kind == "regression":
        return (
            f"{instances.classes[0]} {instances.targets.mean():.3g} ± {instances.targets.std():.3g}"
        )
    return ", ".join(
        f"{n} {c}" for n, c in zip(instances.classes, _positives(instances), strict=True)
    )


def report_context(
    config: LabeledConfig, data: LabeledData, contamination: ContaminationReport
) -> JsonObject:
    """Return the context of an evaluation report, shown beside the metrics."""
    leaking = is_leaking(str(data.split["rule"]))
    return {
        "title": f"{config.labels.task} on {config.data.sets}" + " (LEAKY SPLIT)" * leaking,
        **provenance(),
        "data": data.opened.content_hashes,
        "split": {name: data.split[name] for name in ("rule", "hash")},
        "contamination": contamination.format_line(),
        "training instances": len(data.instances["train"]),
    }
