"""Linear probe: what labels can be read off frozen features by logistic regression."""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.batches import map_windows
from physio_mae_jax.objectives.pretraining import MaskedModel, Params
from physio_mae_jax.training import artifacts

_LOG = logging.getLogger(__name__)

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
_INPUTS = ("signal", "channel_mask", "channel_ids")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Where labels are and how recordings are divided; see ``configs/probe.py``."""

    label_array: str
    label_names_array: str
    fold_array: str
    validation_fold: int
    test_fold: int
    batch_size: int


class Labels(NamedTuple):
    """Labels [N, K] of 0, 1 or other for unknown, fold [N] and names [K]."""

    labels: np.ndarray
    folds: np.ndarray
    names: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeRun:
    """Everything built that a probe is made of.

    Attributes:
        workdir: absolute folder of what is written.
        config: division and sizes.
        model: with a method ``features``.
        encoders: parameters by name.
        reader: of windows; the first one of each recording is used.
        labels: of the recordings.
        description: for the report.
    """

    workdir: Path
    config: ProbeConfig
    model: MaskedModel
    encoders: dict[str, Params]
    reader: WindowReader
    labels: Labels
    description: dict[str, Any]


def read_labels(folder: Path, config: ProbeConfig, num_recordings: int) -> Labels:
    """Read labels and folds from the one npz file of a folder.

    Raises:
        DataError: there is no such file, it lacks an array, or has another number of recordings.
    """
    files = sorted(folder.glob("*.npz"))
    if len(files) != 1:
        raise DataError(f"{folder} holds {len(files)} npz files; labels are read from exactly one.")
    names = (config.label_array, config.fold_array, config.label_names_array)
    with np.load(files[0], allow_pickle=False) as file:
        missing = [name for name in names if name not in file.files]
        if missing:
            raise DataError(
                f"{files[0]} has no array {', '.join(missing)} (it has {', '.join(file.files)}); "
                "name the right ones with --config.label_array and so on."
            )
        labels, folds, classes = (file[name] for name in names)
    if len(labels) != num_recordings or len(folds) != num_recordings:
        raise DataError(
            f"{files[0]} labels {len(labels)} recordings with {len(folds)} folds, but "
            f"{num_recordings} were opened."
        )
    return Labels(labels, folds, [str(name) for name in classes])


def probe(run: ProbeRun) -> dict[str, Any]:
    """Fit and judge a probe of each encoder, write probe.json, and return it."""
    known = np.isin(run.labels.labels, (0, 1)).all(axis=1)
    indices = np.flatnonzero(known)
    results: dict[str, Any] = dict(run.description)
    extract = jax.jit(
        lambda params, batch: run.model.apply({"params": params}, **batch, method="features")
    )
    windows = [run.reader.read(int(index), 0) for index in indices]
    for name, params in run.encoders.items():
        features = map_windows(
            functools.partial(extract, params), windows, _INPUTS, run.config.batch_size
        )
        results[name] = linear_probe(
            features, run.labels.labels[indices], run.labels.folds[indices], run
        )
        _LOG.info(
            "%s: macro AUROC %.4f on fold %d (%d recordings)",
            name,
            results[name]["macro_auroc"],
            run.config.test_fold,
            results[name]["num_test"],
        )
    artifacts.write_json(run.workdir / "probe.json", results)
    return results


def linear_probe(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, run: ProbeRun
) -> dict[str, Any]:
    """Fit one logistic regression a class; choose its strength on validation; judge on test.

    Args:
        features: [N, D].
        labels: [N, K] of 0 and 1.
        folds: [N].
        run: says which folds are which.

    Returns:
        'macro_auroc', 'auroc' by class, 'strength', 'num_train', 'num_test'.
    """
    test = folds == run.config.test_fold
    validation = folds == run.config.validation_fold
    train = ~test & ~validation

    def scores(strength: float, fitted: np.ndarray, judged: np.ndarray) -> list[float]:
        values = []
        for label in labels.T:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2_000))
            model.fit(features[fitted], label[fitted])
            values.append(
                float(roc_auc_score(label[judged], model.decision_function(features[judged])))
            )
        return values

    best = max(_STRENGTHS, key=lambda strength: np.mean(scores(strength, train, validation)))
    final = scores(best, train | validation, test)
    return {
        "macro_auroc": float(np.mean(final)),
        "auroc": dict(zip(run.labels.names, final, strict=True)),
        "strength": best,
        "num_train": int((train | validation).sum()),
        "num_test": int(test.sum()),
    }
