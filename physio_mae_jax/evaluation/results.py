"""What an evaluation holds, and its JSON."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from physio_mae_jax.evaluation.bootstrap import Estimate, PairedDifference


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class, or one target of a regression.

    Attributes:
        name: of the class.
        num_positives, num_negatives: units; 0 in a regression.
        num_positive_subjects, num_negative_subjects: subjects with such a unit.
        rare: fewer positives or fewer negatives than asked for.
        metrics: of ``measures.class_measure``.
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
        """True where nothing but the one or the other was judged."""
        return not (self.num_positives and self.num_negatives)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationResult:
    """Calibration of one class, or of the whole, before and after; point estimates.

    Attributes:
        name: of the class; 'mean of classes'; 'decided class'.
        before: 'ece', 'ece_equal_mass', 'brier', 'log_loss' of what the model says.
        after: the same with the calibration that was chosen on validation.
    """

    name: str
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubgroupResult:
    """The main metric of some of the units.

    Attributes:
        attribute, name: such as 'sex' and 'female'.
        num_units, num_subjects: of the subgroup.
        num_positives: units of each class; empty in a regression.
        left_out: classes with too few positives or negatives there, not in its macro average.
        estimate: undefined where too few are left.
    """

    attribute: str
    name: str
    num_units: int
    num_subjects: int
    num_positives: Mapping[str, int]
    left_out: tuple[str, ...]
    estimate: Estimate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All figures of one model on one part of the data.

    Attributes:
        kind, classes: of the task.
        main_metric: its name among those of ``overall``.
        num_units, num_subjects: judged.
        num_subjects_decided_on: of them, those that thresholds were chosen on; 0 in a fair test.
        overall: metrics averaged over all classes that have positives and negatives, and metrics
            of whole units.
        overall_frequent: averages without the rare classes; empty where that leaves out none.
        by_class: of each class.
        calibration: the whole first, then each class; empty in a regression.
        confusion: [K][K] units by truth (row) and decision of a multiclass task; otherwise [K][4],
            true positives, false negatives, false positives, true negatives. Empty in a regression.
        subgroups: by sex and age.
        num_unknown: units in no subgroup, by attribute.
        num_resamples, seed, min_positives: of ``evaluation.evaluate``.
    """

    kind: str
    classes: tuple[str, ...]
    main_metric: str
    num_units: int
    num_subjects: int
    num_subjects_decided_on: int
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

    def to_json(self) -> dict[str, Any]:
        """Return the content of a file; null where a figure is undefined."""
        return plain(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """One model against the reference on the same units.

    Attributes:
        name, reference: of the models.
        metric: averaged over which classes, in words.
        value, reference_value: of each.
        difference: value minus reference_value.
    """

    name: str
    reference: str
    metric: str
    value: float
    reference_value: float
    difference: PairedDifference

    def to_json(self) -> dict[str, Any]:
        """Return the content of a file."""
        return plain(self)


def plain(value: Any) -> Any:
    """Turn dataclasses, mappings and arrays into what JSON has; NaN becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(held) for name, held in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(held) for held in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
