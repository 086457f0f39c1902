"""Linear probe: what labels can be read off frozen features by logistic regression."""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from physio_mae_jax.data.labels import RecordingLabels
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.inference.batches import map_windows
from physio_mae_jax.objectives.pretraining import MaskedModel, Params
from physio_mae_jax.training import artifacts

_LOG = logging.getLogger(__name__)

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
_INPUTS = ("signal", "channel_mask", "channel_ids")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """What is read off; see ``configs/probe.py``."""

    label_task: str
    require_label: bool
    batch_size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeRun:
    """Everything built that a probe is made of.

    Attributes:
        workdir: absolute folder of what is written.
        config: task and sizes.
        model: with a method ``features``.
        encoders: parameters by name.
        reader: of windows; the first one of each recording is used.
        parts: indices of the recordings of 'train', 'validation' and 'test'.
        labels: of all recordings of the source.
        description: for the report.
    """

    workdir: Path
    config: ProbeConfig
    model: MaskedModel
    encoders: dict[str, Params]
    reader: WindowReader
    parts: dict[str, list[int]]
    labels: RecordingLabels
    description: dict[str, Any]


def probe(run: ProbeRun) -> dict[str, Any]:
    """Fit and judge a probe of each encoder, write probe.json, and return it."""
    labels = run.labels
    used = labels.known
    if run.config.require_label:
        used = used & labels.values.any(axis=1)
    parts = {part: [i for i in some if used[i]] for part, some in run.parts.items()}
    indices = [index for some in parts.values() for index in some]
    part_of = np.repeat(list(parts), [len(some) for some in parts.values()])
    results: dict[str, Any] = dict(run.description)
    extract = jax.jit(
        lambda params, batch: run.model.apply({"params": params}, **batch, method="features")
    )
    windows = [run.reader.read(index, run.reader.starts(index)[0]) for index in indices]
    for name, params in run.encoders.items():
        features = map_windows(
            functools.partial(extract, params), windows, _INPUTS, run.config.batch_size
        )
        results[name] = linear_probe(features, labels.values[indices], part_of, labels.classes)
        _LOG.info(
            "%s: macro AUROC %.4f (%d test recordings)",
            name,
            results[name]["macro_auroc"],
            results[name]["num_test"],
        )
    artifacts.write_json(run.workdir / "probe.json", results)
    return results


def linear_probe(
    features: np.ndarray, labels: np.ndarray, part_of: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Fit one logistic regression a class; choose its strength on validation; judge on test.

    Args:
        features: [N, D].
        labels: [N, K] of 0 and 1.
        part_of: [N] 'train', 'validation' or 'test'.
        classes: [K] names.

    Returns:
        'macro_auroc', 'auroc' by class, 'strength', 'num_train', 'num_test'.
    """
    train, validation, test = (part_of == part for part in ("train", "validation", "test"))

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
        "auroc": dict(zip(classes, final, strict=True)),
        "strength": best,
        "num_train": int((train | validation).sum()),
        "num_test": int(test.sum()),
    }
