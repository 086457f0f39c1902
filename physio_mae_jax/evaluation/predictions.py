"""Model outputs and targets of instances."""

import dataclasses
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from physio_mae_jax.atomic_files import atomic_write
from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.class_decision import KINDS

_FIELDS = ("kind", "classes", "instance_ids", "subjects", "logits", "targets")
_ATTRIBUTE = "attribute."
_HINT = "give an .npz that Predictions.save wrote."
# Maximum size of the unpacked file.
_FREE_BYTES, _TIMES_THE_FILE = 1 << 30, 50


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Outputs of a model for U instances in Y classes, and the targets.

    Attributes:
        kind: Kind of the task, 'multilabel', 'multiclass' or 'regression'.
        classes: Names of the classes [Y]; in a regression of the targets.
        instance_ids: Unique names [U] str of the evaluated instances, recordings or windows.
        subjects: Subject of each instance [U] str.
        logits: Outputs [U, Y] float64. Multilabel: log-odds of each class. Multiclass:
            log-probabilities up to a constant of the instance. Regression: predictions in the units
            of the targets.
        targets: Truth [U, Y] float64. Multilabel: 0 or 1. Multiclass: one-hot. Regression: values.
        attributes: Attributes of instances, [U] each, str or float64, such as 'sex' and 'age'
            (years); '' or NaN if unknown.

    Raises:
        DataError: Shapes disagree, a number is not finite, or targets do not match the kind.
    """

    kind: str
    classes: tuple[str, ...]
    instance_ids: np.ndarray
    subjects: np.ndarray
    logits: np.ndarray
    targets: np.ndarray
    attributes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        converted = {
            "classes": tuple(str(name) for name in self.classes),
            "instance_ids": _texts("instance_ids", self.instance_ids),
            "subjects": _texts("subjects", self.subjects),
            "logits": _numbers("logits", self.logits),
            "targets": _numbers("targets", self.targets),
            "attributes": {n: _attribute(n, values) for n, values in self.attributes.items()},
        }
        for name, value in converted.items():
            object.__setattr__(self, name, value)
        self._check_shapes()
        self._check_values()

    @property
    def num_instances(self) -> int:
        """Number of instances U."""
        return len(self.instance_ids)

    def select(self, instances: np.ndarray) -> "Predictions":
        """Return a subset of the instances.

        Args:
            instances: Mask [U] bool, or indices.
        """
        return dataclasses.replace(
            self,
            **{
                n: getattr(self, n)[instances]
                for n in ("instance_ids", "subjects", "logits", "targets")
            },
            attributes={name: values[instances] for name, values in self.attributes.items()},
        )

    def save(self, path: Path) -> None:
        """Write an npz file of plain arrays without pickles, atomically."""
        arrays: dict[str, Any] = {name: np.asarray(getattr(self, name)) for name in _FIELDS}
        arrays |= {f"{_ATTRIBUTE}{name}": values for name, values in self.attributes.items()}
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read a file written by ``save``.

        Raises:
            DataError: The file is not such a file, or its content is invalid.
        """
        try:
            with open_regular(path, _HINT) as file:
                arrays = _load_arrays(file)
            content: dict[str, Any] = {name: arrays[name] for name in _FIELDS}
            content |= {"kind": str(content["kind"]), "classes": tuple(content["classes"].tolist())}
            attributes = {
                name.removeprefix(_ATTRIBUTE): values
                for name, values in arrays.items()
                if name.startswith(_ATTRIBUTE)
            }
            return cls(**content, attributes=attributes)
        except Exception as error:  # NumPy, zipfile and zlib raise many types
            raise DataError(
                f"predictions {path} cannot be read ({type(error).__name__}: {str(error)[:300]}); "
                f"{_HINT}"
            ) from error

    def _check_shapes(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r}.")
        minimum = 2 if self.kind == "multiclass" else 1
        if len(self.classes) < minimum or len(set(self.classes)) != len(self.classes):
            raise DataError(
                f"classes {self.classes}: {self.kind} needs at least {minimum}, each once."
            )
        if not self.num_instances:
            raise DataError("predictions must have at least one instance; got none.")
        by_instance = {"subjects": self.subjects, **self.attributes}
        for name, values in by_instance.items():
            if values.shape != self.instance_ids.shape:
                raise DataError(
                    f"{name} has shape {list(values.shape)}, expected "
                    f"{list(self.instance_ids.shape)}: one value per instance."
                )
        expected_shape = (self.num_instances, len(self.classes))
        for name in ("logits", "targets"):
            if getattr(self, name).shape != expected_shape:
                raise DataError(
                    f"{name} has shape {list(getattr(self, name).shape)}, expected "
                    f"{list(expected_shape)}: "
                    f"{expected_shape[0]} instances, {expected_shape[1]} classes."
                )

    def _check_values(self) -> None:
        ids, counts = np.unique(self.instance_ids, return_counts=True)
        if (counts > 1).any():
            instance, count = str(ids[counts > 1][0]), counts[counts > 1][0]
            raise DataError(f"instance {instance!r} occurs {count} times; each must be unique.")
        if (self.subjects == "").any():
            instance = str(self.instance_ids[self.subjects == ""][0])
            raise DataError(
                f"instance {instance!r} has no subject; give its subject, or its own name."
            )
        for field in ("logits", "targets"):
            self._reject(field, ~np.isfinite(getattr(self, field)), "is not finite")
        if self.kind != "regression":
            self._reject("targets", ~np.isin(self.targets, (0.0, 1.0)), "is neither 0 nor 1")
        num_labels = self.targets.sum(axis=1)
        if self.kind == "multiclass" and (num_labels != 1).any():
            first = int(np.flatnonzero(num_labels != 1)[0])
            raise DataError(
                f"targets of instance {str(self.instance_ids[first])!r} have {num_labels[first]:g} "
                "classes; multiclass needs exactly one (one-hot); otherwise use multilabel."
            )

    def _reject(self, name: str, is_invalid: np.ndarray, what: str) -> None:
        if is_invalid.any():
            first, k = np.argwhere(is_invalid)[0]
            raise DataError(
                f"{name} of instance {str(self.instance_ids[first])!r}, class {self.classes[k]!r} "
                f"{what} ({getattr(self, name)[first, k]}); {is_invalid.sum()} values in all."
            )


def _load_arrays(file: BinaryIO) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > max(_FREE_BYTES, _TIMES_THE_FILE * file.seek(0, os.SEEK_END)):
        raise DataError(f"a small file that unpacks to {size:,} bytes")
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _texts(name: str, values: object) -> np.ndarray:
    array = np.asarray(values)
    texts = array.dtype.kind == "U" or (
        array.dtype.kind == "O" and all(isinstance(value, str) for value in array.ravel())
    )
    if array.ndim != 1 or not (texts or array.dtype.kind in "iu"):
        raise DataError(f"{name} is {array.dtype} {list(array.shape)}, expected names [U].")
    return array.astype(str)


def _numbers(name: str, values: object) -> np.ndarray:
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} are not all numbers: {error}.") from error


def _attribute(name: str, values: object) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind == "O":
        array = np.asarray(["" if value is None else str(value) for value in array.ravel()])
    if array.dtype.kind != "U":
        raise DataError(f"attribute {name!r} is {array.dtype}, expected text or numbers.")
    return array
