"""Manifest fields with labels, folds and attributes, for preparation.

Only ``preparation.layouts.folder`` uses them; training on a folder ignores them.
"""

import dataclasses
import re
from collections.abc import Mapping

from physio_mae_jax.data.formats.manifest_values import (
    parse_by_stem,
    parse_name,
    parse_text,
    reject_unknown_keys,
)
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show
from physio_mae_jax.types import JsonMapping

_SOURCES = ("label", "labels", "label_array")
_NAMES = ("label_names", "label_names_array")
# Fields that name members of an npz.
LABELING_MEMBERS = ("label_array", "label_names_array", "fold_array", "attribute_arrays")
FOLD = "fold"
TASK_NAME = "label"
_TASK_NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labeling:
    """Labels, folds and attributes of an entry; None for those that are absent.

    Attributes:
        label: Class of all records of the file.
        labels: Mapping of file stem to class.
        label_array: npz member with the class or classes of each record.
        label_names: All class names, in order.
        label_names_array: npz member with the class names.
        fold_array: npz member with the fold of each record.
        attribute_arrays: Mapping of attribute to the npz member with its value for each record.
        tasks: Mapping of the name of a further task to its labels.
    """

    label: str | None = None
    labels: Mapping[str, str] | None = None
    label_array: str | None = None
    label_names: tuple[str, ...] | None = None
    label_names_array: str | None = None
    fold_array: str | None = None
    attribute_arrays: Mapping[str, str] | None = None
    tasks: Mapping[str, "Labeling"] | None = None


LABELING_FIELDS = tuple(field.name for field in dataclasses.fields(Labeling))


def parse_labeling(entry_fields: JsonMapping, defaults: JsonMapping, where: str) -> Labeling:
    """Check the labeling fields of an entry.

    Args:
        entry_fields: Fields of the entry.
        defaults: Fields of the manifest that apply to every entry.
        where: Name of the entry in error messages.

    Raises:
        DataError: a value does not match the docstring of ``manifest``, or two fields are
            redundant.
    """
    for group, what in ((_SOURCES, "label"), (_NAMES, "names of the classes")):
        present = [key for key in group if key in entry_fields]
        if len(present) > 1:
            raise DataError(
                f"{where} gives the {what} twice, by {' and '.join(present)}; keep one."
            )
    fields = {**defaults, **entry_fields}
    if "label_names_array" in entry_fields:
        fields.pop("label_names", None)
    if "label" in fields:
        fields["label"] = parse_name(fields["label"], "label", where).strip()
    if "labels" in fields:
        fields["labels"] = parse_by_stem(fields["labels"], "labels", "label", where)
    if "label_names" in fields:
        fields["label_names"] = _parse_names(fields["label_names"], where)
    for key in ("label_array", "label_names_array", "fold_array"):
        if key in fields:
            fields[key] = parse_text(fields[key], key, where)
    if "attribute_arrays" in fields:
        fields["attribute_arrays"] = _parse_attributes(fields["attribute_arrays"], where)
        if FOLD in fields["attribute_arrays"] and "fold_array" in fields:
            raise DataError(f"{where} gives the fold twice, by fold_array and attribute_arrays.")
    if "label_names_array" in entry_fields and "label_array" not in entry_fields:
        raise DataError(f"{where}: 'label_names_array' names the classes of a 'label_array'.")
    if "tasks" in fields:
        fields["tasks"] = _parse_tasks(fields["tasks"], where)
    return Labeling(**fields)


def _parse_tasks(value: object, where: str) -> dict[str, Labeling]:
    if not isinstance(value, dict) or not all(isinstance(part, dict) for part in value.values()):
        raise DataError(
            f"{where}: 'tasks' must be an object {{task: {{\"label_array\": npz member, …}}}}, "
            f"found {show(value)}."
        )
    found = {}
    for name, fields in value.items():
        if not _TASK_NAME_PATTERN.fullmatch(name) or name == TASK_NAME:
            raise DataError(
                f"{where}: 'tasks' has the task {show(name)}; a name consists of lower-case "
                f"letters, digits and underscores, begins with a letter, and is not {TASK_NAME!r}."
            )
        part = f"{where}, task {name!r}"
        reject_unknown_keys(fields, (*_SOURCES, *_NAMES), part)
        if not any(key in fields for key in _SOURCES):
            raise DataError(f"{part} has no labels; add one of {', '.join(_SOURCES)}.")
        found[name] = parse_labeling(fields, {}, part)
    return found


def _parse_names(value: object, where: str) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else []
    valid = all(isinstance(name, str) for name in entries)
    names = tuple(name.strip() for name in entries) if valid else ()
    if not names or not all(names) or "?" in names or len(set(names)) < len(names):
        raise DataError(
            f'{where}: \'label_names\' must list each class once, such as ["normal", "AF"]; '
            f"found {show(value)}."
        )
    return names


def _parse_attributes(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not value or not all(name.strip() for name in value):
        raise DataError(
            f"{where}: 'attribute_arrays' must be an object {{attribute: npz member}}, found "
            f"{show(value)}."
        )
    return {
        name.strip(): parse_text(member, f"attribute_arrays[{name!r}]", where)
        for name, member in value.items()
    }
