"""Outputs of a model for units, and the targets of those units."""

import dataclasses
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from physio_mae_jax.data.regular_file import open_regular
from physio_mae_jax.errors import DataError
from physio_mae_jax.training.atomic_files import atomic_write

KINDS = ("multilabel", "multiclass", "regression")
_FIELDS = ("kind", "classes", "unit_ids", "subjects", "logits", "targets")
_ATTRIBUTE = "attribute."
_WAY_OUT = "give an .npz that Predictions.save wrote."
# Largest size that a file may unpack to.
_FREE_BYTES, _TIMES_THE_FILE = 1 << 30, 50


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Outputs of a model for U units in K classes, and the targets.

    Attributes:
        kind: Kind of the task, 'multilabel', 'multiclass' or 'regression'.
        classes: Names of the classes [K]; in a regression of the targets.
        unit_ids: Unique names [U] str of the evaluated units, recordings or windows.
        subjects: Subject of each unit [U] str.
        logits: Outputs [U, K] float64. Multilabel: log-odds of each class. Multiclass:
            log-probabilities up to a constant of the unit. Regression: predictions in the units of
            the targets.
        targets: Truth [U, K] float64. Multilabel: 0 or 1. Multiclass: one-hot. Regression: values.
        attributes: Attributes of units, [U] each, str or float64, such as 'sex' and 'age' (years);
            '' or NaN where unknown.

    Raises:
        DataError: Shapes disagree, a number is not finite, or targets do not fit the kind.
    """

    kind: str
    classes: tuple[str, ...]
    unit_ids: np.ndarray
    subjects: np.ndarray
    logits: np.ndarray
    targets: np.ndarray
    attributes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        converted = {
            "classes": tuple(str(name) for name in self.classes),
            "unit_ids": _texts("unit_ids", self.unit_ids),
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
    def num_units(self) -> int:
        """U."""
        return len(self.unit_ids)

    def only(self, units: np.ndarray) -> "Predictions":
        """Return a subset of the units.

        Args:
            units: Mask [U] bool, or indices.
        """
        return dataclasses.replace(
            self,
            **{n: getattr(self, n)[units] for n in ("unit_ids", "subjects", "logits", "targets")},
            attributes={name: values[units] for name, values in self.attributes.items()},
        )

    def save(self, path: Path) -> None:
        """Write an npz file of plain arrays without pickles, atomically."""
        arrays: dict[str, Any] = {name: np.asarray(getattr(self, name)) for name in _FIELDS}
        arrays |= {f"{_ATTRIBUTE}{name}": values for name, values in self.attributes.items()}
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read what ``save`` wrote.

        Raises:
            DataError: The file is not such a file, or its content is invalid.
        """
        try:
            with open_regular(path, _WAY_OUT) as file:
                arrays = _unpacked(file)
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
                f"{_WAY_OUT}"
            ) from error

    def _check_shapes(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r}.")
        least = 2 if self.kind == "multiclass" else 1
        if len(self.classes) < least or len(set(self.classes)) != len(self.classes):
            raise DataError(
                f"classes {self.classes}: {self.kind} needs at least {least}, each once."
            )
        if not self.num_units:
            raise DataError("predictions must have at least one unit; got none.")
        by_unit = {"subjects": self.subjects, **self.attributes}
        for name, values in by_unit.items():
            if values.shape != self.unit_ids.shape:
                raise DataError(
                    f"{name} has shape {list(values.shape)}, expected {list(self.unit_ids.shape)}: "
                    "one value per unit."
                )
        wanted = (self.num_units, len(self.classes))
        for name in ("logits", "targets"):
            if getattr(self, name).shape != wanted:
                raise DataError(
                    f"{name} has shape {list(getattr(self, name).shape)}, expected {list(wanted)}: "
                    f"{wanted[0]} units, {wanted[1]} classes."
                )

    def _check_values(self) -> None:
        ids, counts = np.unique(self.unit_ids, return_counts=True)
        if (counts > 1).any():
            unit, count = str(ids[counts > 1][0]), counts[counts > 1][0]
            raise DataError(f"unit {unit!r} occurs {count} times; each must be unique.")
        if (self.subjects == "").any():
            unit = str(self.unit_ids[self.subjects == ""][0])
            raise DataError(f"unit {unit!r} has no subject; give its subject, or its own name.")
        for field in ("logits", "targets"):
            self._refuse(field, ~np.isfinite(getattr(self, field)), "is not finite")
        if self.kind != "regression":
            self._refuse("targets", ~np.isin(self.targets, (0.0, 1.0)), "is neither 0 nor 1")
        held = self.targets.sum(axis=1)
        if self.kind == "multiclass" and (held != 1).any():
            first = int(np.flatnonzero(held != 1)[0])
            raise DataError(
                f"targets of unit {str(self.unit_ids[first])!r} name {held[first]:g} classes; "
                "multiclass needs exactly one (one-hot); otherwise use multilabel."
            )

    def _refuse(self, name: str, bad: np.ndarray, what: str) -> None:
        if bad.any():
            first, k = np.argwhere(bad)[0]
            raise DataError(
                f"{name} of unit {str(self.unit_ids[first])!r}, class {self.classes[k]!r} {what} "
                f"({getattr(self, name)[first, k]}); {bad.sum()} values in all."
            )


def _unpacked(file: BinaryIO) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > max(_FREE_BYTES, _TIMES_THE_FILE * file.seek(0, os.SEEK_END)):
        raise DataError(f"a small file that unpacks to {size:,} bytes")
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def aggregate_windows(
    unit_of_window: np.ndarray, window_logits: np.ndarray, num_units: int
) -> np.ndarray:
    """Average the logits of the windows of each unit.

    Args:
        unit_of_window: Unit of each window [W], integers from 0 to ``num_units`` - 1.
        window_logits: Logits of the windows [W, K], finite.
        num_units: Number of units U.

    Returns:
        Logits of the units [U, K] float64.

    Raises:
        DataError: Shapes disagree, a number is out of range or not finite, or a unit has no window.
    """
    units, logits = np.asarray(unit_of_window), _numbers("window_logits", window_logits)
    if logits.ndim != 2 or units.shape != logits.shape[:1] or units.dtype.kind not in "iu":
        raise DataError(
            f"window_logits has shape {list(logits.shape)} and unit_of_window {units.dtype} "
            f"{list(units.shape)}; expected [W, K] and integers [W]."
        )
    if len(units) and not 0 <= units.min() <= units.max() < num_units:
        raise DataError(f"unit_of_window must be in [0, {num_units - 1}].")
    if not np.isfinite(logits).all():
        window, k = np.argwhere(~np.isfinite(logits))[0]
        raise DataError(f"window_logits[{window}, {k}] is {logits[window, k]}, not finite.")
    counts = np.bincount(units, minlength=num_units)
    if (counts == 0).any():
        missing = np.flatnonzero(counts == 0)
        raise DataError(
            f"{len(missing)} of {num_units} units have no window, the first is unit {missing[0]}; "
            "exclude them from the evaluation, and report it."
        )
    sums = [np.bincount(units, column, minlength=num_units) for column in logits.T]
    return np.stack(sums, axis=1) / counts[:, None]


def _texts(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    texts = array.dtype.kind == "U" or (
        array.dtype.kind == "O" and all(isinstance(value, str) for value in array.ravel())
    )
    if array.ndim != 1 or not (texts or array.dtype.kind in "iu"):
        raise DataError(f"{name} is {array.dtype} {list(array.shape)}, expected names [U].")
    return array.astype(str)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} are not all numbers: {error}.") from error


def _attribute(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind == "O":
        array = np.asarray(["" if value is None else str(value) for value in array.ravel()])
    if array.dtype.kind != "U":
        raise DataError(f"attribute {name!r} is {array.dtype}, expected text or numbers.")
    return array
