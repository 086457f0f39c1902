"""Labels, folds and attributes of a user's own files (see ``data.formats.manifest``)."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physio_mae_jax.data.formats.file_facts import FileRecords
from physio_mae_jax.data.formats.labelling import FOLD, Labelling
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.npz_member import read_member
from physio_mae_jax.data.subjects import group_similar_names, is_missing
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.recording import LabelTask

_LOG = logging.getLogger(__name__)
TASK_NAME = "label"
_SHOWN = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordLabels:
    """Labels and metadata of the records of one file.

    Attributes:
        where: Name of the label source in error messages; '' where there is none.
        labels: Classes of each record, None where it is unlabelled.
        names: All classes as far as they are declared.
        exclusive: Whether exactly one class holds at a time.
        attributes: Attributes of each record.
    """

    where: str
    labels: tuple[tuple[str, ...] | None, ...]
    names: tuple[str, ...] | None
    exclusive: bool
    attributes: tuple[Mapping[str, Any], ...]


def read_record_labels(file: FileRecords, entry: ManifestEntry) -> RecordLabels:
    """Read what a manifest entry states about the records of a file besides their samples.

    Raises:
        DataError: a member is missing or has not one value a record, or a value is invalid.
    """
    said, count = entry.labelling, len(file.subjects)
    attributes: list[dict[str, Any]] = [{} for _ in range(count)]
    members = dict(said.attribute_arrays or {})
    if said.fold_array is not None:
        members[FOLD] = said.fold_array
    for name, member in members.items():
        where = f"{entry.label}: {name!r} of {file.path}, member {member!r}"
        values = _one_a_record(read_member(file.path, member, entry.label), count, where)
        for record, value in enumerate(values):
            if value is not None:
                attributes[record][name] = _whole(value) if name == FOLD else value
    where, labels, names, exclusive = "", _same(None, count), said.label_names, True
    if said.label_array is not None:
        where = f"{entry.label}: 'label_array' of {file.path}, member {said.label_array!r}"
        labels, names, exclusive = _label_array(file.path, entry, count, where)
    elif said.label is not None:
        where = f"{entry.label}: 'label'"
        labels = _same(_answer(said.label, said.label_names), count)
    elif said.labels is not None:
        where, text = f"{entry.label}: 'labels'", said.labels.get(file.path.stem)
        labels = _same(_answer(text, said.label_names), count)
    return RecordLabels(
        where=where,
        labels=labels,
        names=names,
        exclusive=exclusive,
        attributes=tuple(attributes),
    )


def label_task(answers: Sequence[RecordLabels]) -> LabelTask | None:
    """Join what the files say into one task; None where none says anything of labels.

    Raises:
        DataError: files contradict each other, a label is not among the declared classes, or
            there is no answer at all.
    """
    asked = [one for one in answers if one.where]
    if not asked:
        return None
    first = asked[0]
    for other in asked:
        if other.exclusive != first.exclusive:
            raise DataError(
                f"{first.where} and {other.where}: one gives a class a record and the other a "
                "matrix; give all labels in one of the two ways."
            )
        if not first.exclusive and other.names != first.names:
            raise DataError(
                f"{other.where} is of the classes {_list(other.names)}, {first.where} of "
                f"{_list(first.names)}; all matrices must be of the same classes, in one order."
            )
    found = {name: one.where for one in asked for names in one.labels for name in names or ()}
    if not any(names is not None for one in asked for names in one.labels):
        raise DataError(
            f"{first.where}: no record has a label; omit the field or correct the values."
        )
    declared = dict.fromkeys(name for one in asked for name in one.names or ())
    classes = tuple(declared) or _sorted(found)
    _warn_of_similar_classes(first.where, classes)
    for name, where in found.items():
        if name not in classes:
            raise DataError(
                f"{where}: label {name!r} is not among the classes {_list(classes)}; add it to "
                "'label_names' or correct it."
            )
    return LabelTask(
        name=TASK_NAME,
        classes=classes,
        exclusive=first.exclusive,
        description="What the manifest says of each recording.",
    )


def _answer(text: str | None, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the class that a text names; None where it marks a missing label.

    'none' is a class where it is declared as one.
    """
    stripped = "" if text is None else text.strip()
    if is_missing(stripped) and stripped not in (names or ()):
        return None
    return (stripped,)


def _warn_of_similar_classes(where: str, classes: Sequence[str]) -> None:
    for group in group_similar_names(classes):
        _LOG.warning(
            "%s: the classes %s differ in case or digits alone, and count as different ones; spell "
            "each in one way if they are the same.",
            where,
            " and ".join(map(repr, group)),
        )


def reject_unused_labels(entry: ManifestEntry, stems: Sequence[str]) -> None:
    """Raise a DataError where 'labels' names a file that the entry does not list."""
    unused = sorted(set(entry.labelling.labels or ()) - set(stems))
    if unused:
        raise DataError(
            f"{entry.label}: 'labels' names {_list(unused)}, but of its files none is called so; "
            f"they are {_list(sorted(set(stems)))} (names without ending)."
        )


def reject_subjects_in_two_folds(folds: Sequence[tuple[str, str, Any]]) -> None:
    """Raise a DataError where (subject, record, fold) triples have a subject in two folds."""
    seen: dict[str, tuple[str, Any]] = {}
    for subject, record, fold in folds:
        other, first = seen.setdefault(subject, (record, fold))
        if first != fold:
            raise DataError(
                f"subject {subject} is in fold {first} (record {other}) and in fold {fold} (record "
                f"{record}); folds must keep each subject in one. Fix them, or give them another "
                "name in 'attribute_arrays' if they are no folds."
            )


def _label_array(
    path: Path, entry: ManifestEntry, count: int, where: str
) -> tuple[tuple[tuple[str, ...] | None, ...], tuple[str, ...] | None, bool]:
    """Return classes of each record, declared classes, and whether one holds at a time."""
    assert entry.labelling.label_array is not None
    values = read_member(path, entry.labelling.label_array, entry.label)
    names = _declared_names(path, entry)
    if values.ndim == 2:
        return _matrix_labels(values, names, count, where), names, False
    labels = []
    for record, value in enumerate(_one_a_record(values, count, where, names or ())):
        text = _class_name(value, names, f"{where}, record {record}")
        labels.append(None if text is None else (text,))
    return tuple(labels), names, True


def _declared_names(path: Path, entry: ManifestEntry) -> tuple[str, ...] | None:
    said: Labelling = entry.labelling
    if said.label_names_array is None:
        _reject_no_class(said.label_names or (), f"{entry.label}: 'label_names'")
        return said.label_names
    values = read_member(path, said.label_names_array, entry.label)
    names = tuple(str(value).strip() for value in values.ravel().tolist())
    _reject_no_class(names, f"{entry.label}: member {said.label_names_array!r} of {path}")
    if not names or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"{entry.label}: member {said.label_names_array!r} of {path} reads {_list(names)}; "
            "each class is to be named once."
        )
    return names


def _reject_no_class(names: Sequence[str], where: str) -> None:
    """Reject 'nan' and the like as the name of a class; 'none' may be one."""
    for name in names:
        if is_missing(name) and name and name.lower() != "none":
            raise DataError(
                f"{where} has the class {name!r}, which marks a missing label. Remove it, "
                "and give -1 or '' to the records without one."
            )


def _matrix_labels(
    values: np.ndarray, names: tuple[str, ...] | None, count: int, where: str
) -> tuple[tuple[str, ...] | None, ...]:
    if len(values) != count:
        raise DataError(f"{where} has {len(values)} rows for {count} records.")
    if names is None or len(names) != values.shape[1]:
        raise DataError(
            f"{where} has {values.shape[1]} columns and {len(names or ())} names of classes; name "
            "each column in 'label_names' or 'label_names_array'."
        )
    if values.dtype.kind not in "fiub":
        raise DataError(f"{where} is a matrix of {values.dtype}; 0 and 1 are expected.")
    numbers = values.astype(np.float64)
    unanswered = np.asarray((np.isnan(numbers) | (numbers < 0)).any(axis=1))
    wrong = ~np.isin(numbers, (0.0, 1.0)).all(axis=1) & ~unanswered
    if wrong.any():
        record = int(np.argmax(wrong))
        raise DataError(
            f"{where}, record {record} reads {_list(numbers[record].tolist())}; 0 and 1 are "
            "expected, or a negative number where there is no answer."
        )
    return tuple(
        None if missing else tuple(names[i] for i in np.flatnonzero(row))
        for row, missing in zip(numbers, unanswered, strict=True)
    )


def _class_name(value: Any, names: tuple[str, ...] | None, where: str) -> str | None:
    """Return the class that one value of a label array stands for, None for no label."""
    if value is None or isinstance(value, str):
        return value
    whole = _whole(value)
    if not isinstance(whole, int):
        raise DataError(f"{where} is {value!r}; a text or whole number is expected.")
    if whole < 0:
        return None
    if names is None:
        return str(whole)
    if whole >= len(names):
        raise DataError(
            f"{where} is {whole}, which is not among the {len(names)} classes {_list(names)} "
            "(counted from 0)."
        )
    return names[whole]


def _one_a_record(
    values: np.ndarray, count: int, where: str, meant: Sequence[str] = ()
) -> list[Any]:
    """Return one text or number a record, None where it marks a missing value.

    Texts of ``meant`` are values, whatever they say.
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
        cleaned.append(None if is_missing(stripped) and stripped not in meant else stripped)
    return cleaned


def _whole(value: Any) -> Any:
    """Return 3.0 as 3; anything else as it is."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _same(value: Any, count: int) -> tuple[Any, ...]:
    return (value,) * count


def _sorted(names: Mapping[str, str]) -> tuple[str, ...]:
    """Sort names, numbers by their value."""
    numbers = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=int) if numbers else sorted(names))


def _list(values: Sequence[Any] | None) -> str:
    texts = [str(value) for value in list(values or ())[:_SHOWN]]
    more = len(values or ()) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "") or "none"
