"""Content of an evaluation, and its JSON."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from physio_mae_jax.evaluation.bootstrap import Estimate, PairedDifference
from physio_mae_jax.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class, or one target of a regression.

    Attributes:
        name: Name of the class.
        num_positives, num_negatives: Number of instances; 0 in a regression.
        num_positive_subjects, num_negative_subjects: Number of subjects with such an instance.
        rare: Whether it has fewer positives or negatives than ``min_positives``.
        metrics: Metrics of the class by name.
    """

    name: str
    num_positives: int = 0
    num_negatives: int = 0
    num_positive_subjects: int = 0
    num_negative_subjects: int = 0
    rare: bool = False
    metrics: Mapping[str, Estimate]

    @property
    def is_absent(self) -> bool:
        """True if only positives or only negatives were evaluated."""
        return not (self.num_positives and self.num_negatives)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationResult:
    """Calibration errors of one class, or overall, before and after calibration; point estimates.

    Attributes:
        name: Name of the class, 'mean of classes' or 'predicted class'.
        before: 'ece', 'ece_equal_mass', 'brier', 'log_loss' of the uncalibrated model.
        after: The same with the calibration fitted on validation.
    """

    name: str
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubgroupResult:
    """The main metric of a subgroup.

    Attributes:
        attribute, name: Attribute and subgroup, such as 'sex' and 'female'.
        num_instances, num_subjects: Size of the subgroup.
        num_positives: Positive instances of each class; empty in a regression.
        excluded: Classes excluded from its macro average for too few positives or negatives.
        estimate: Main metric of the subgroup; undefined if too few instances remain.
    """

    attribute: str
    name: str
    num_instances: int
    num_subjects: int
    num_positives: Mapping[str, int]
    excluded: tuple[str, ...]
    estimate: Estimate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All metrics of one model on one split of the data.

    Attributes:
        kind, classes: Kind and classes of the task.
        main_metric: Name of the main metric, a key of ``overall``.
        num_instances, num_subjects: Number of evaluated instances and subjects.
        num_subjects_decided_on: Number of evaluated subjects on which thresholds were fitted; 0 in
            a valid test.
        overall: Metrics averaged over all classes that have positives and negatives, and metrics
            over all classes.
        overall_frequent: Averages without the rare classes; empty if there are none.
        by_class: Results of each class.
        calibration: Overall calibration, then that of each class; empty in a regression.
        confusion: Instances [Y][Y] by truth (row) and prediction of a multiclass task; otherwise
            [Y][4], true positives, false negatives, false positives, true negatives. Empty in a
            regression.
        subgroups: Results by sex and age.
        num_unknown: Number of instances in no subgroup, by attribute.
        num_resamples, seed, min_positives: Arguments of ``evaluation.evaluate``.
    """

    kind: str
    classes: tuple[str, ...]
    main_metric: str
    num_instances: int
    num_subjects: int
    num_threshold_subjects: int
    overall: Mapping[str, Estimate]
    overall_frequent: Mapping[str, Estimate]
    by_class: tuple[ClassResult, ...]
    calibration: tuple[CalibrationResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    subgroups: tuple[SubgroupResult, ...]
    num_unknown: Mapping[str, int]
    num_resamples: int
    seed: int
    min_positives: int

    @property
    def main(self) -> Estimate:
        """The main metric."""
        return self.overall[self.main_metric]

    def to_json(self) -> JsonObject:
        """Return the JSON content; null if a metric is undefined."""
        return plain(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """One model against the reference on the same instances.

    Attributes:
        name, reference: Names of the two models.
        metric: Metric and the classes it is averaged over, as text.
        value, reference_value: Metric of each model.
        difference: ``value`` minus ``reference_value``.
    """

    name: str
    reference: str
    metric: str
    value: float
    reference_value: float
    difference: PairedDifference

    def to_json(self) -> JsonObject:
        """Return the JSON content."""
        return plain(self)


def plain(value: object) -> Any:
    """Convert dataclasses, mappings and arrays to JSON types; NaN becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(element) for name, element in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(element) for element in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
