"""What a task of the evaluation suite trains: its folds, classes and fractions of the subjects."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.data.instances import Instances, LabelConfig, collect_instances
from physio_mae_jax.data.opening import DataConfig, DatasetBundle, open_data
from physio_mae_jax.data.splits import SPLITS, is_leaking, make_split
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.classifiers import EncoderInit
from physio_mae_jax.experiment.subject_folds import fold_rules

# Fewer training subjects per class, on average, are too few to be called a fraction of them.
_MIN_SUBJECTS_PER_CLASS = 2
_VALIDATION_SHARE = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskPlan:
    """What is trained and evaluated for a task.

    Attributes:
        split_rules: Split rule of each fold, by the name of its folder.
        classes: Classes that are used, as ``labels.classes``.
        fractions: Fractions of the training subjects.
        num_train_subjects: Training subjects with a label, of the smallest fold.
        notes: What was excluded, and why, one sentence each.
    """

    split_rules: Mapping[str, str]
    classes: str
    fractions: tuple[float, ...]
    num_train_subjects: int
    notes: tuple[str, ...]


def plan_task(
    data: DataConfig,
    labels: LabelConfig,
    encoder: EncoderInit,
    *,
    folds: str,
    fractions: Sequence[float],
) -> TaskPlan:
    """Open the data of a task, and decide what can be trained and evaluated.

    Args:
        data, labels: Settings of the task; ``labels.window_seconds`` is that of the encoder.
        encoder: Encoder, for its window.
        folds: '' for ``data.split_rule``, a number, or 'subjects', see ``subject_folds``.
        fractions: Requested fractions of the training subjects.

    Raises:
        UserError: The data cannot be opened or split, or a fold cannot select a model.
    """
    opened = open_data(
        dataclasses.replace(data, split_rule="none"),
        encoder.sampling_rate_hz,
        encoder.num_samples,
        progress=False,
    )
    instances = collect_instances(opened.source, opened.reader, opened.splits["train"], labels)
    recordings = opened.source.recordings
    subject_ids = sorted({recordings[int(i)].subject_id for i in instances.recording})
    rules = fold_rules(folds, data.split_rule, subject_ids, _VALIDATION_SHARE)
    divided = [_divide(opened, instances, rule, data.split_seed) for rule in rules]
    kept = _learnable(divided, labels.task, 1 if instances.kind == "multilabel" else 2)
    _check_validation(divided, rules, kept)
    excluded = [name for name, keep in zip(instances.classes, kept, strict=True) if not keep]
    names = [name for name, keep in zip(instances.classes, kept, strict=True) if keep]
    num_subjects = min(len(np.unique(fold["train"].subjects)) for fold in divided)
    chosen, notes = _fractions(fractions, num_subjects, len(names))
    if excluded:
        notes.insert(0, f"Classes without training subjects in a fold: {_some(excluded)}.")
    stems = ["split"] if len(rules) == 1 else [f"fold_{k:02d}" for k in range(len(rules))]
    return TaskPlan(
        split_rules=dict(zip(stems, rules, strict=True)),
        classes=_quoted(names) if excluded else labels.classes,
        fractions=tuple(chosen),
        num_train_subjects=num_subjects,
        notes=tuple(notes),
    )


def fit_window(encoder: EncoderInit, longest_seconds: float) -> float:
    """Return the longest window (s) of whole columns that recordings of this length allow.

    0, for the window of the encoder, if the recordings are long enough or of any length.
    """
    assert encoder.config is not None
    rate_hz, patch_samples = encoder.sampling_rate_hz, encoder.config.patch_samples
    if not longest_seconds or encoder.num_samples <= longest_seconds * rate_hz:
        return 0.0
    columns = int(longest_seconds * rate_hz + 1e-6) // patch_samples
    if not columns:
        raise ConfigError(
            f"the recordings have {longest_seconds:g} s, but a column of the encoder takes "
            f"{patch_samples / rate_hz:g} s."
        )
    return columns * patch_samples / rate_hz


@dataclasses.dataclass(frozen=True)
class _Labeled:
    """Instances of a split: targets [U, Y] bool and subject key of each [U]."""

    targets: np.ndarray
    subjects: np.ndarray


def _divide(
    opened: DatasetBundle, instances: Instances, rule: str, seed: int
) -> dict[str, _Labeled]:
    """Divide the instances of all recordings by the split rule of a fold."""
    recordings, targets = opened.source.recordings, instances.targets > 0
    keys = np.asarray([recordings[int(i)].subject_key for i in instances.recording])
    if is_leaking(rule):
        return dict.fromkeys(SPLITS, _Labeled(targets, keys))
    split = make_split(recordings, range(len(recordings)), rule, seed)
    divided = {}
    for name in SPLITS:
        used = np.isin(keys, split.subjects[name])
        if not used.any():
            raise DataError(f"split rule {rule!r} leaves no labeled recordings for {name}.")
        divided[name] = _Labeled(targets[used], keys[used])
    return divided


def _learnable(divided: Sequence[dict[str, _Labeled]], task: str, min_classes: int) -> np.ndarray:
    """Return the classes [Y] bool that some, but not all, training instances of each fold have."""
    shares = np.asarray([fold["train"].targets.mean(axis=0) for fold in divided])
    kept: np.ndarray = np.all((shares > 0) & (shares < 1), axis=0)
    if kept.sum() < min_classes:
        raise DataError(
            f"task {task!r} has {kept.sum()} classes with training subjects in every fold; at "
            f"least {min_classes} are needed. Use other folds or another split."
        )
    return kept


def _check_validation(
    divided: Sequence[dict[str, _Labeled]], rules: Sequence[str], kept: np.ndarray
) -> None:
    """Raise a DataError if a fold's validation has only one class."""
    for fold, rule in zip(divided, rules, strict=True):
        share = fold["validation"].targets[:, kept].mean(axis=0)
        if not ((share > 0) & (share < 1)).any():
            raise DataError(
                f"validation of split {rule!r} has one class only, so no model can be selected on "
                "it; use other folds or another split."
            )


def _fractions(
    requested: Sequence[float], num_subjects: int, num_classes: int
) -> tuple[list[float], list[str]]:
    """Return the fractions with enough subjects, and a note on each of the others."""
    chosen, notes = [], []
    for fraction in requested:
        count = fraction * num_subjects
        if fraction == 1 or count >= _MIN_SUBJECTS_PER_CLASS * num_classes:
            chosen.append(fraction)
            continue
        notes.append(
            f"{100 * fraction:g} % excluded: {count:.1f} of {num_subjects} training subjects for "
            f"{num_classes} classes; at least {_MIN_SUBJECTS_PER_CLASS} for each are needed."
        )
    if not chosen:
        raise ConfigError(
            f"label_fractions has no fraction with enough of the {num_subjects} training subjects; "
            "add 1."
        )
    return chosen, notes


def _quoted(names: Sequence[str]) -> str:
    """Return the text of ``labels.classes`` for some names, which may contain commas."""
    text = io.StringIO()
    csv.writer(text).writerow(names)
    return text.getvalue().strip()


def _some(names: Sequence[str], shown: int = 12) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
