"""Specification of a fine-tuned model, stored with its checkpoint; every value is validated."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.instances import LabelConfig, ProblemType
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.errors import DataError
from physio_mae_jax.training.checkpoint import HINT
from physio_mae_jax.types import JsonMapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredLabels(LabelConfig):
    """Settings of the instances, and the outputs in order."""

    kind: ProblemType
    names: tuple[str, ...]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Classes of the task that the outputs stand for, in order."""
        return self.names[1:] if self.kind == "segmentation" else self.names

    def settings(self, classes: str) -> LabelConfig:
        """Return the instance settings for evaluating ``classes``."""
        values = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(LabelConfig)
        }
        return LabelConfig(**{**values, "classes": classes})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetStatistics:
    """Mean and standard deviation [Y] that standardized the targets."""

    mean: Sequence[float]
    std: Sequence[float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """A fine-tuned model, its input and its outputs.

    Attributes:
        model: Settings of the encoder, or of a baseline.
        head: Settings of the head.
        input: Sampling rate, length and channels of an input window.
        split: Rule and hash of the split by subject.
        labels: Instances that were evaluated, and their classes.
        targets: Mean and standard deviation of the training targets.
    """

    model: JsonMapping
    head: JsonMapping
    input: InputSpec
    split: Mapping[str, str]
    labels: StoredLabels
    targets: TargetStatistics

    def __post_init__(self) -> None:
        num_outputs = len(self.labels.names)
        for name in ("mean", "std"):
            length = len(getattr(self.targets, name))
            if length != num_outputs or not num_outputs:
                raise DataError(
                    f"targets.{name} must have {num_outputs} numbers, one per output; got {length}"
                )

    @classmethod
    def from_json(cls, content: object, folder: Path) -> "ClassifierSpec":
        """Read the model_spec ``commands.finetune`` wrote into the checkpoints in a folder.

        Raises:
            DataError: The content is not such a model_spec; the message names the value.
        """
        return check_types(cls, content, f"the model_spec of the checkpoint in {folder}", HINT)
