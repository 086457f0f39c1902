"""Predictions reject invalid values, and come back from disk."""

import dataclasses

import numpy as np
import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.evaluation.predictions import Predictions
from tests.evaluation.evaluations import of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ranking"}, "got 'ranking'"),
        ({"classes": ("a", "a")}, "each once"),
        (
            {"logits": [[0.1, np.nan], [1, 1], [1, 1]]},
            "logits of instance 'u0', class 'b' is not fin",
        ),
        ({"logits": [[0.1, 1], [1, 1], [-np.inf, 1]]}, "instance 'u2', class 'a' is not finite"),
        ({"targets": [[1, 0], [0, 1], [1, 0.5]]}, "instance 'u2', class 'b' is neither 0 nor 1"),
        ({"targets": [[1, 0], [0, 1], [1, 1]], "kind": "multiclass"}, "'u2' have 2 classes"),
        ({"targets": [[1, 0], [0, 1]]}, r"targets has shape \[2, 2\], expected \[3, 2\]"),
        ({"logits": np.zeros((3, 3)), "classes": ("a", "b")}, r"logits has shape \[3, 3\]"),
        ({"logits": np.zeros(3)}, r"logits has shape \[3\]"),
        ({"subjects": ["s", "t"]}, r"subjects has shape \[2\]"),
        ({"subjects": ["s", "", "t"]}, "instance 'u1' has no subject"),
        ({"subjects": ["s", None, "t"]}, "expected names"),
        ({"instance_ids": ["u", "u", "v"]}, "'u' occurs 2 times"),
        ({"attributes": {"sex": np.array(["f", "m"])}}, r"sex has shape \[2\]"),
        ({"attributes": {"sex": np.zeros(3, complex)}}, "'sex' is complex"),
        ({"logits": [["x", "y"]] * 3, "classes": ("a", "b")}, "logits are not all numbers"),
    ],
)
def test_predictions_reject_invalid_values(changes, message):
    valid = of()
    entries = {f.name: getattr(valid, f.name) for f in dataclasses.fields(valid)}
    with pytest.raises(DataError, match=message):
        Predictions(**(entries | changes))


def test_empty_predictions_are_rejected():
    with pytest.raises(DataError, match="at least one instance"):
        of(logits=np.zeros((0, 2)), targets=np.zeros((0, 2)), instance_ids=np.array([], str),
           subjects=np.array([], str))  # fmt: skip


def test_predictions_come_back_from_disk(tmp_path):
    attributes = {"sex": ["m", "f", None], "age": [40.0, np.nan, 80.5], "site": np.array([1, 2, 3])}
    saved = of(attributes=attributes, classes=("α|β", "b c"))
    path = tmp_path / "deep" / "test.npz"
    saved.save(path)
    found = Predictions.load(path)
    for field in dataclasses.fields(Predictions):
        if field.name != "attributes":
            np.testing.assert_array_equal(getattr(found, field.name), getattr(saved, field.name))
    assert found.classes == ("α|β", "b c")
    assert list(found.attributes) == ["sex", "age", "site"]
    for name, values in saved.attributes.items():
        np.testing.assert_array_equal(found.attributes[name], values)
    assert [file.name for file in path.parent.iterdir()] == ["test.npz"]
    part = found.select(np.array([True, False, True]))
    assert part.instance_ids.tolist() == ["u0", "u2"]
    assert part.attributes["sex"].tolist() == ["m", ""]


def test_other_files_are_rejected(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    path.write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    np.savez(path, kind="multilabel")
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    of().save(path)
    content = dict(np.load(path))
    np.savez(path, **(content | {"instance_ids": np.array(["a", None, "b"], object)}))
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(DataError, match="cannot be read"):
        Predictions.load(path.with_suffix(".npy"))
