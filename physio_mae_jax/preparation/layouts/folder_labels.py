"""Labels, folds and attributes of a user's own files (see ``data.formats.manifest``)."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import FileRecords
from physio_mae_jax.data.formats.labeling import FOLD, TASK_NAME, Labeling
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.npz_member import read_member
from physio_mae_jax.data.subjects import group_similar_names, is_missing
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import LabelTask
from physio_mae_jax.types import JsonMapping, JsonObject

_LOG = logging.getLogger(__name__)
_SHOWN = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileLabels:
    """Labels and metadata of the records of one file.

    Attributes:
        where: Name of the label source in error messages; '' if there is none.
        labels: Classes of each record; None if it is unlabeled.
        names: Declared classes; None if they are not declared.
        exclusive: Whether exactly one class applies to each record.
        attributes: Attributes of each record.
    """

    where: str
    labels: tuple[tuple[str, ...] | None, ...]
    names: tuple[str, ...] | None
    exclusive: bool
    attributes: tuple[JsonMapping, ...]


def read_file_labels(file: FileRecords, entry: ManifestEntry) -> FileLabels:
    """Read the labels and attributes of the records of a file, as stated by its manifest entry.

    Raises:
        DataError: a member is missing or does not have one value per record, or a value is invalid.
    """
    labeling, count = entry.labeling, len(file.subjects)
    attributes: list[JsonObject] = [{} for _ in range(count)]
    members = dict(labeling.attribute_arrays or {})
    if labeling.fold_array is not None:
        members[FOLD] = labeling.fold_array
    for name, member in members.items():
        where = f"{entry.label}: {name!r} of {file.path}, member {member!r}"
        values = _values_per_record(read_member(file.path, member, entry.label), count, where)
        for record, value in enumerate(values):
            if value is not None:
                attributes[record][name] = _to_integer(value) if name == FOLD else value
    where, names, exclusive = "", labeling.label_names, True
    labels: tuple[tuple[str, ...] | None, ...] = (None,) * count
    if labeling.label_array is not None:
        where = f"{entry.label}: 'label_array' of {file.path}, member {labeling.label_array!r}"
        labels, names, exclusive = _label_array(file.path, entry, count, where)
    elif labeling.label is not None:
        where = f"{entry.label}: 'label'"
        labels = (_parse_class(labeling.label, labeling.label_names),) * count
    elif labeling.labels is not None:
        where, text = f"{entry.label}: 'labels'", labeling.labels.get(file.path.stem)
        labels = (_parse_class(text, labeling.label_names),) * count
    return FileLabels(
        where=where,
        labels=labels,
        names=names,
        exclusive=exclusive,
        attributes=tuple(attributes),
    )


def read_task_labels(file: FileRecords, entry: ManifestEntry) -> dict[str, FileLabels]:
    """Read the labels of each further task of a manifest entry; raises as ``read_file_labels``."""
    return {
        name: read_file_labels(
            file, dataclasses.replace(entry, labeling=labeling, label=f"{entry.label}, {name}")
        )
        for name, labeling in (entry.labeling.tasks or {}).items()
    }


def make_label_tasks(
    file_labels: Sequence[FileLabels], task_labels: Sequence[Mapping[str, FileLabels]]
) -> tuple[LabelTask, ...]:
    """Merge the labels of all files: the task 'label', if any, then the further tasks.

    Args:
        file_labels: Result of ``read_file_labels`` for each file.
        task_labels: Result of ``read_task_labels`` for each file.

    Raises:
        DataError: As ``make_label_task``.
    """
    names = dict.fromkeys(name for labels in task_labels for name in labels)
    tasks = [make_label_task(file_labels)]
    for name in names:
        parts = [labels[name] for labels in task_labels if name in labels]
        tasks.append(make_label_task(parts, name))
    return tuple(task for task in tasks if task is not None)


def make_label_task(file_labels: Sequence[FileLabels], name: str = TASK_NAME) -> LabelTask | None:
    """Merge the labels of all files into one task; None if no file has labels.

    Raises:
        DataError: files contradict each other, a label is not among the declared classes, or
            no record has a label.
    """
    labeled = [one for one in file_labels if one.where]
    if not labeled:
        return None
    first = labeled[0]
    for other in labeled:
        if other.exclusive != first.exclusive:
            raise DataError(
                f"{first.where} and {other.where}: one gives one class per record and the other a "
                "matrix; use the same form for all labels."
            )
        if not first.exclusive and other.names != first.names:
            raise DataError(
                f"{other.where} has the classes {_list(other.names)}, {first.where} has "
                f"{_list(first.names)}; all matrices must have the same classes in the same order."
            )
    found = {label: one.where for one in labeled for names in one.labels for label in names or ()}
    if not any(names is not None for one in labeled for names in one.labels):
        raise DataError(
            f"{first.where}: no record has a label; omit the field or correct the values."
        )
    declared = dict.fromkeys(label for one in labeled for label in one.names or ())
    classes = tuple(declared) or _sort_classes(found)
    _warn_about_similar_classes(first.where, classes)
    for label, where in found.items():
        if label not in classes:
            raise DataError(
                f"{where}: label {label!r} is not among the classes {_list(classes)}; add it to "
                "'label_names' or correct it."
            )
    return LabelTask(
        name=name,
        classes=classes,
        exclusive=first.exclusive,
        description="Label of each recording in the manifest.",
    )


def _parse_class(text: str | None, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the class that a text names; None if it marks a missing label.

    'none' is a class if it is declared as one.
    """
    stripped = "" if text is None else text.strip()
    if is_missing(stripped) and stripped not in (names or ()):
        return None
    return (stripped,)


def _warn_about_similar_classes(where: str, classes: Sequence[str]) -> None:
    for group in group_similar_names(classes):
        _LOG.warning(
            "%s: the classes %s differ only in case or leading zeros and count as different "
            "classes; use one spelling if they are the same.",
            where,
            " and ".join(map(repr, group)),
        )


def reject_unused_labels(entry: ManifestEntry, stems: Sequence[str]) -> None:
    """Raise a DataError if 'labels' names a file that the entry does not list."""
    named = [entry.labeling, *(entry.labeling.tasks or {}).values()]
    unused = sorted({stem for part in named for stem in part.labels or ()} - set(stems))
    if unused:
        raise DataError(
            f"{entry.label}: 'labels' names {_list(unused)}, which are not among its files "
            f"{_list(sorted(set(stems)))} (names without suffix)."
        )


def _label_array(
    path: Path, entry: ManifestEntry, count: int, where: str
) -> tuple[tuple[tuple[str, ...] | None, ...], tuple[str, ...] | None, bool]:
    """Return the classes of each record, the declared classes, and whether they are exclusive."""
    assert entry.labeling.label_array is not None
    values = read_member(path, entry.labeling.label_array, entry.label)
    names = _declared_names(path, entry)
    if values.ndim == 2:
        return _matrix_labels(values, names, count, where), names, False
    labels = []
    for record, value in enumerate(_values_per_record(values, count, where, names or ())):
        text = _class_name(value, names, f"{where}, record {record}")
        labels.append(None if text is None else (text,))
    return tuple(labels), names, True


def _declared_names(path: Path, entry: ManifestEntry) -> tuple[str, ...] | None:
    labeling: Labeling = entry.labeling
    if labeling.label_names_array is None:
        _reject_missing_markers(labeling.label_names or (), f"{entry.label}: 'label_names'")
        return labeling.label_names
    values = read_member(path, labeling.label_names_array, entry.label)
    names = tuple(str(value).strip() for value in values.ravel().tolist())
    _reject_missing_markers(
        names, f"{entry.label}: member {labeling.label_names_array!r} of {path}"
    )
    if not names or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"{entry.label}: member {labeling.label_names_array!r} of {path} reads "
            f"{_list(names)}; each class must occur once."
        )
    return names


def _reject_missing_markers(names: Sequence[str], where: str) -> None:
    """Reject class names that mark missing values, such as 'nan'; 'none' is allowed."""
    for name in names:
        if is_missing(name) and name and name.lower() != "none":
            raise DataError(
                f"{where} has the class {name!r}, which marks a missing label. Remove it, and use "
                "-1 or '' for records without a label."
            )


def _matrix_labels(
    values: np.ndarray, names: tuple[str, ...] | None, count: int, where: str
) -> tuple[tuple[str, ...] | None, ...]:
    if len(values) != count:
        raise DataError(f"{where} has {len(values)} rows for {count} records.")
    if names is None or len(names) != values.shape[1]:
        raise DataError(
            f"{where} has {values.shape[1]} columns and {len(names or ())} class names; name each "
            "column in 'label_names' or 'label_names_array'."
        )
    if values.dtype.kind not in "fiub":
        raise DataError(f"{where} is a matrix of {values.dtype}; 0 and 1 are expected.")
    numbers = values.astype(np.float64)
    is_unlabeled = np.asarray((np.isnan(numbers) | (numbers < 0)).any(axis=1))
    wrong = ~np.isin(numbers, (0.0, 1.0)).all(axis=1) & ~is_unlabeled
    if wrong.any():
        record = int(np.argmax(wrong))
        raise DataError(
            f"{where}, record {record} reads {_list(numbers[record].tolist())}; 0 and 1 are "
            "expected, or a negative number if there is no label."
        )
    return tuple(
        None if missing else tuple(names[i] for i in np.flatnonzero(row))
        for row, missing in zip(numbers, is_unlabeled, strict=True)
    )


def _class_name(value: object, names: tuple[str, ...] | None, where: str) -> str | None:
    """Return the class of one value of a label array; None for no label."""
    if value is None or isinstance(value, str):
        return value
    number = _to_integer(value)
    if not isinstance(number, int):
        raise DataError(f"{where} is {value!r}; a text or integer is expected.")
    if number < 0:
        return None
    if names is None:
        return str(number)
    if number >= len(names):
        raise DataError(
            f"{where} is {number}, which is not among the {len(names)} classes {_list(names)} "
            "(counted from 0)."
        )
    return names[number]


def _values_per_record(
    values: np.ndarray, count: int, where: str, valid_texts: Sequence[str] = ()
) -> list[str | int | float | None]:
    """Return one text or number per record; None if it marks a missing value.

    Texts in ``valid_texts`` are never treated as missing.
    """
    if values.ndim > 1 or values.size != count:
        raise DataError(
            f"{where} has shape {values.shape}; one value for each of {count} records is expected."
        )
    if values.dtype.kind not in "fiubU":
        raise DataError(f"{where} is an array of {values.dtype}; texts or numbers are expected.")
    cleaned = []
    for value in values.ravel().tolist():
        stripped = value.strip() if isinstance(value, str) else value
        cleaned.append(None if is_missing(stripped) and stripped not in valid_texts else stripped)
    return cleaned


def _to_integer(value: object) -> object:
    """Convert 3.0 to 3; return other values unchanged."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _sort_classes(names: Mapping[str, str]) -> tuple[str, ...]:
    """Sort class names; numbers are sorted by value."""
    numbers = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=int) if numbers else sorted(names))


def _list(values: Sequence[object] | None) -> str:
    texts = [str(value) for value in list(values or ())[:_SHOWN]]
    more = len(values or ()) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "") or "none"
