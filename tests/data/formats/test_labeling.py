"""Fields of a manifest with labels, folds and attributes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.formats.manifest import parse_manifest
from physio_mae_jax.errors import DataError
from tests.folders import write_csv, write_manifest
from tests.preparation.layouts.own_data import opened, write_npz

ENTRY = {"file": "a.npz"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**ENTRY, "label": "a", "labels": {"a": "b"}}, "the label twice, by label and labels"),
        (
            {**ENTRY, "label_array": "y", "label_names": ["a"], "label_names_array": "k"},
            "classes tw",
        ),
        ({**ENTRY, "label_names_array": "k"}, "names the classes of a 'label_array'"),
        ({**ENTRY, "label_names": []}, "must list each class once"),
        ({**ENTRY, "label_names": ["a", " a"]}, "must list each class once"),
        ({**ENTRY, "label_names": "ab"}, "must list each class once"),
        ({**ENTRY, "label": ""}, "label must be a text or integer"),
        (
            {**ENTRY, "labels": ["a"]},
            r"'labels' must be an object \{file name without suffix: label",
        ),
        ({**ENTRY, "label_array": 3}, "'label_array' must be a text, found 3"),
        ({**ENTRY, "attribute_arrays": []}, r"must be an object \{attribute: npz member\}"),
        ({**ENTRY, "attribute_arrays": {"age": 3}}, r"attribute_arrays\['age'\].* found 3"),
        ({**ENTRY, "fold_array": "f", "attribute_arrays": {"fold": "f"}}, "the fold twice"),
        ({**ENTRY, "label_aray": "y"}, "Did you mean 'label_array'"),
    ],
)
def test_manifest_mistakes_are_named(content: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"M.*{message}"):
        parse_manifest({"recordings": [content]}, "M")


def test_defaults_reach_the_files_that_can_have_them(tmp_path: Path, signal: np.ndarray) -> None:
    write_npz(tmp_path / "s.npz", f=["a", "a", "b", ""], age=[1.5, np.nan, 3, 4])
    write_csv(tmp_path / "c.csv", signal)
    write_manifest(
        tmp_path, ENTRY | {"file": "s.npz"}, {"file": "c.csv"},
        fold_array="f", attribute_arrays={"age": "age"},
    )  # fmt: skip
    attributes = [ref.details["attributes"] for ref in opened(tmp_path).found]
    assert attributes == [
        {"fold": "a", "age": 1.5},
        {"fold": "a"},
        {"fold": "b", "age": 3.0},
        {"age": 4.0},
        {},
    ]
    write_manifest(tmp_path, {"file": "c.csv", "fold_array": "f"})
    with pytest.raises(
        DataError, match=r"'fold_array' names a member of an \.npz; .*c\.csv is not an \.npz"
    ):
        opened(tmp_path)
