"""Labels of recordings are read as given, and a probe tells them apart."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.inference.edge.labels import (
    LinearProbe,
    auroc,
    label_matrix,
    macro_auroc,
    require_varied,
)
from tests.classifiers import DECISIONS


def test_labels_are_names_numbers_or_rows():
    assert label_matrix(["b", "a", "b"], 3, None).tolist() == [[1], [0], [1]]
    assert label_matrix(np.asarray([0, 2, 1]), 3, None).tolist() == np.eye(3)[[0, 2, 1]].tolist()
    assert label_matrix([[0, 1], [1, 1]], 2, None).tolist() == [[0, 1], [1, 1]]
    decision = DECISIONS["multiclass"]
    assert label_matrix(["c", "a"], 2, decision).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert label_matrix([1, 0], 2, decision).tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"], "has 1 entries for 2 recordings"),
        (["a", None], "has an entry without a value"),
        (["a", "x"], "has 'x', which is no class of the model; choose from a, b, c"),
        ([[0, 1], [1, 0]], r"rows of shape \(2,\); rows of 3 values 0 or 1 are expected"),
        ([[0, 1, 2], [1, 0, 0]], "rows of 3 values 0 or 1"),
        ("a", "calibration_labels"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels, message):
    with pytest.raises(UserError, match=message):
        label_matrix(labels, 2, DECISIONS["multiclass"])


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, size=(80, 3)).astype(float), rng.random((80, 3)) < 0.3
    assert auroc(scores[:, 0], labels[:, 0]) == pytest.approx(
        roc_auc_score(labels[:, 0], scores[:, 0])
    )
    labels[:, 2] = True  # no windows without it
    assert macro_auroc(scores, labels) == pytest.approx(
        roc_auc_score(labels[:, :2], scores[:, :2], average="macro")
    )


def test_labels_vary_among_the_windows_of_both_parts():
    one, two = np.asarray([[0, 1], [0, 0]]), np.asarray([[1, 0], [0, 0]])
    require_varied(one, one)
    with pytest.raises(DataError, match="no class that some windows have and others do not"):
        require_varied(one, two)


def test_a_probe_separates_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat([[0], [1]], 60, axis=0)
    embeddings = rng.normal(size=(120, 8)) + 5
    embeddings[:, 3] += 3 * labels[:, 0]
    probe = LinearProbe(embeddings[::2], labels[::2])
    assert macro_auroc(probe.scores(embeddings[1::2]), labels[1::2]) > 0.95
