"""What the checkpoint of a fine-tuned model says of it, each value checked."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.instances import TaskKind, UnitConfig
from physio_mae_jax.data.json_types import typed
from physio_mae_jax.errors import DataError
from physio_mae_jax.training.checkpoint import WAY_OUT


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredUnits(UnitConfig):
    """What was judged, and the outputs in their order."""

    kind: TaskKind
    names: tuple[str, ...]

    def settings(self, classes: str) -> UnitConfig:
        """Return what is to be judged of ``classes``."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(UnitConfig)}
        return UnitConfig(**{**values, "classes": classes})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standard:
    """Mean and deviation [K] by which the targets were standardised."""

    mean: Sequence[float]
    deviation: Sequence[float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierContract:
    """A fine-tuned model, its input and its outputs.

    Attributes:
        model: of the encoder, or of a baseline.
        head: settings of the head.
        input: what a window is.
        split: rule and hash of the subjects trained on.
        units: what was judged.
        targets: their standard.
    """

    model: Mapping[str, Any]
    head: Mapping[str, Any]
    input: InputSpec
    split: Mapping[str, str]
    units: StoredUnits
    targets: Standard

    def __post_init__(self) -> None:
        wanted = len(self.units.names)
        for name in ("mean", "deviation"):
            found = len(getattr(self.targets, name))
            if found != wanted or not wanted:
                raise DataError(f"targets.{name} has {found} numbers, of {wanted} outputs")

    @classmethod
    def from_json(cls, content: Any, folder: Path) -> "ClassifierContract":
        """Read what ``experiment.finetuning`` wrote into the checkpoints in a folder.

        Raises:
            DataError: it is something else; the message names the value.
        """
        return typed(cls, content, f"the contract of the checkpoint in {folder}", WAY_OUT)
