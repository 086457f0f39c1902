"""Labels of a user's own files, as the manifest tells of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.folder import FolderLayout
from tests.folders import write_csv, write_manifest
from tests.preparation.layouts.own_data import opened, write_npz


def labels_of(layout: FolderLayout, folder: Path) -> list[list[int] | None]:
    found = []
    for ref in layout.find(folder):
        labels = layout.read(folder, ref).labels.get("label")
        found.append(None if labels is None else labels.tolist())
    return found


LABELS = {
    "text": ({"y": ["b", "a", "", "b"]}, {}, ("a", "b"), True, [[0, 1], [1, 0], None, [0, 1]]),
    "bytes": ({"y": [b"b", b"a", b"b", b" "]}, {}, ("a", "b"), True,
              [[0, 1], [1, 0], [0, 1], None]),
    "numbers": ({"y": [2, 10, -1, 2]}, {}, ("2", "10"), True, [[1, 0], [0, 1], None, [1, 0]]),
    "floats": ({"y": [0.0, 1.0, np.nan, 0.0]}, {}, ("0", "1"), True,
               [[1, 0], [0, 1], None, [1, 0]]),
    "truth": ({"y": [True, False, False, False]}, {}, ("0", "1"), True,
              [[0, 1], [1, 0], [1, 0], [1, 0]]),
    "named numbers": ({"y": [1, 0, -1, 1]}, {"label_names": ["no", "yes", "maybe"]},
                      ("no", "yes", "maybe"), True, [[0, 1, 0], [1, 0, 0], None, [0, 1, 0]]),
    "declared text": ({"y": ["b", "a", "b", "b"]}, {"label_names": ["c", "b", "a"]},
                      ("c", "b", "a"), True, [[0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]]),
    "matrix": ({"y": np.int8([[1, 1], [0, 0], [-1, -1], [0, 1]])}, {"label_names": ["p", "q"]},
               ("p", "q"), False, [[1, 1], [0, 0], None, [0, 1]]),
    "float matrix": ({"y": [[1.0, 0.0], [np.nan, 0.0], [0.0, 0.0], [1.0, 1.0]],
                      "k": ["p", "q"]}, {"label_names_array": "k"},
                     ("p", "q"), False, [[1, 0], None, [0, 0], [1, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_an_array(name: str, tmp_path: Path) -> None:
    members, fields, classes, exclusive, expected = LABELS[name]
    write_npz(tmp_path / "s.npz", **members)
    write_manifest(tmp_path, {"file": "s.npz", "label_array": "y", **fields})
    layout = opened(tmp_path)
    (task,) = layout.tasks
    assert (task.name, task.classes, task.exclusive) == ("label", classes, exclusive)
    assert labels_of(layout, tmp_path) == expected


def test_labels_of_files(tmp_path: Path, signal: np.ndarray) -> None:
    for name in ("a", "b", "c", "d"):
        write_csv(tmp_path / f"{name}.csv", signal)
    write_manifest(
        tmp_path,
        {"file": "a.csv", "label": "walk"},
        {"file": "[b-c].csv", "labels": {"b": "sit", "c": 5}},
        {"file": "d.csv"},
    )
    layout = opened(tmp_path)
    assert layout.tasks[0].classes == ("5", "sit", "walk")
    assert labels_of(layout, tmp_path) == [[0, 0, 1], [0, 1, 0], [1, 0, 0], None]
    write_manifest(tmp_path, {"file": "*.csv"})
    assert opened(tmp_path).tasks == ()


def test_other_classes_make_other_shards(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "a.csv", signal)
    details = []
    for names in (["x", "y"], ["y", "x"]):
        write_manifest(tmp_path, {"file": "a.csv", "label": "x"}, label_names=names)
        details.append(repr(opened(tmp_path).found[0].details))
    assert details[0] != details[1]


WRONG_LABELS = [
    ({}, {"label_array": "z"}, r"has no member 'z'; it has X, channels, fs"),
    ({"y": [1, 2]}, {"label_array": "y"}, r"member 'y' has shape \(2,\); one value for each of 4"),
    ({"y": np.zeros((4, 2, 2))}, {"label_array": "y"}, r"shape \(4, 2, 2\)"),
    ({"y": np.zeros((3, 2))}, {"label_array": "y", "label_names": ["a", "b"]}, "3 rows for 4 rec"),
    ({"y": np.zeros((4, 2))}, {"label_array": "y"}, "has 2 columns and 0 class names"),
    ({"y": np.zeros((4, 2))}, {"label_array": "y", "label_names": ["a"]}, "and 1 class names"),
    ({"y": np.full((4, 2), 2)}, {"label_array": "y", "label_names": ["a", "b"]},
     r"record 0 reads 2\.0, 2\.0; 0 and 1 are expected"),
    ({"y": [["a"]] * 4}, {"label_array": "y", "label_names": ["a"]}, "a matrix of <U1"),
    ({"y": [0.5, 1, 1, 1]}, {"label_array": "y"}, r"record 0 is 0\.5; a text or integer"),
    ({"y": [0, 1, 2, 1]}, {"label_array": "y", "label_names": ["a", "b"]},
     "record 2 is 2, which is not among the 2 classes a, b"),
    ({"y": list("abca")}, {"label_array": "y", "label_names": ["a", "b"]},
     "label 'c' is not among the classes a, b"),
    ({"y": [-1] * 4}, {"label_array": "y"}, "no record has a label"),
    ({"y": [1j] * 4}, {"label_array": "y"}, "is an array of complex128"),
    ({"y": np.array([{}] * 4)}, {"label_array": "y"}, "Object arrays cannot be loaded"),
    ({"y": [1] * 4, "k": ["a", "a"]}, {"label_array": "y", "label_names_array": "k"},
     "reads a, a; each class must occur once"),
    ({}, {"label": "a", "label_names": ["b"]}, "label 'a' is not among the classes b"),
    ({}, {"labels": {"t": "a"}}, "'labels' names t, which are not among its files s "),
    ({"f": [1, 1]}, {"fold_array": "f"}, r"'fold' of .*member 'f' has shape \(2,\)"),
    ({"f": [1, 2, 3, 4], "w": [1, 1, 2, 2]}, {"fold_array": "f", "subject_array": "w"},
     r"subject 1 is in fold 1 \(record s/0\) and in fold 2 \(record s/1\)"),
    ({}, {"attribute_arrays": {"age": "years"}}, "no member 'years'"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "fields", "message"), WRONG_LABELS)
def test_wrong_labels_are_named(
    members: dict[str, Any], fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_npz(tmp_path / "s.npz", **members)
    write_manifest(tmp_path, {"file": "s.npz", **fields})
    with pytest.raises(DataError, match=message):
        opened(tmp_path)


def test_files_must_agree_on_the_labels(tmp_path: Path) -> None:
    matrix = np.eye(4, 2, dtype=int)
    write_npz(tmp_path / "a.npz", y=matrix)
    write_npz(tmp_path / "b.npz", y=matrix)
    write_npz(tmp_path / "c.npz", y=[1, 2, 3, 4])
    first = {"file": "a.npz", "label_array": "y", "label_names": ["p", "q"]}
    write_manifest(tmp_path, first, {"file": "c.npz", "label_array": "y"})
    with pytest.raises(DataError, match="one gives one class per record and the other a matrix"):
        opened(tmp_path)
    write_manifest(
        tmp_path, first, {"file": "b.npz", "label_array": "y", "label_names": ["q", "p"]}
    )
    with pytest.raises(DataError, match=r"has the classes q, p, .* has p, q; all matrices"):
        opened(tmp_path)


def test_further_tasks_of_an_array(tmp_path: Path) -> None:
    statements = np.int8([[1, 1, 0], [0, 0, 0], [-1, -1, -1], [0, 1, 1]])
    write_npz(tmp_path / "s.npz", y=["b", "a", "", "b"], z=statements, k=["p", "q", "r"])
    tasks = {"statements": {"label_array": "z", "label_names_array": "k"}}
    write_manifest(tmp_path, {"file": "s.npz", "label_array": "y", "tasks": tasks})
    layout = opened(tmp_path)
    assert [(task.name, task.classes, task.exclusive) for task in layout.tasks] == [
        ("label", ("a", "b"), True),
        ("statements", ("p", "q", "r"), False),
    ]
    assert labels_of(layout, tmp_path) == [[0, 1], [1, 0], None, [0, 1]]
    found = [layout.read(tmp_path, ref).labels.get("statements") for ref in layout.found]
    assert [None if row is None else row.tolist() for row in found] == [
        [1, 1, 0], [0, 0, 0], None, [0, 1, 1]
    ]  # fmt: skip
    write_manifest(tmp_path, {"file": "s.npz", "tasks": tasks})
    assert [task.name for task in opened(tmp_path).tasks] == ["statements"]
    details = opened(tmp_path).found[0].details
    write_npz(tmp_path / "s.npz", z=statements, k=["p", "r", "q"])
    assert opened(tmp_path).found[0].details != details


WRONG_TASKS = [
    (["statements"], r"'tasks' must be an object \{task: \{\"label_array\": npz member"),
    ({"label": {"label_array": "z"}}, "has the task 'label'; a name consists of"),
    ({"My task": {"label_array": "z"}}, "has the task 'My task'; a name consists of"),
    ({"other": {"label_arrays": "z"}}, "task 'other'.*label_arrays"),
    ({"other": {"label_names": ["p"]}}, "task 'other' has no labels; add one of label, labels"),
    ({"other": {"label_array": "z"}}, r"entry 0 \('s.npz'\), other.* has no member 'z'"),
    ({"other": {"labels": {"t": "a"}}}, "'labels' names t, which are not among its files s "),
]


@pytest.mark.parametrize(("tasks", "message"), WRONG_TASKS)
def test_wrong_further_tasks_are_named(tasks: Any, message: str, tmp_path: Path) -> None:
    write_npz(tmp_path / "s.npz")
    write_manifest(tmp_path, {"file": "s.npz", "tasks": tasks})
    with pytest.raises(DataError, match=message):
        opened(tmp_path)


def test_an_array_of_a_further_task_needs_an_npz(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "a.csv", signal)
    write_manifest(tmp_path, {"file": "a.csv", "tasks": {"other": {"label_array": "z"}}})
    with pytest.raises(DataError, match=r"'tasks.other.label_array' names a member of an .npz"):
        opened(tmp_path)
