"""Untrained classifiers with the specification of fine-tuned ones."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

from physio_mae_jax.atomic_files import write_json
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.instances import ProblemType
from physio_mae_jax.data.sealed_json import add_seal
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.classifier import Classifier
from physio_mae_jax.inference.trained_classifier import TrainedClassifier
from physio_mae_jax.models.heads import classifier as heads
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.classifier_spec import ClassifierSpec, StoredLabels, TargetStatistics
from physio_mae_jax.training.supervised_trainable import BEST
from tests.encoders import untrained

DECISIONS = {
    "multiclass": ClassDecision(kind="multiclass", classes=("a", "b", "c"), temperature=0.5),
    "two classes": ClassDecision(
        kind="multiclass", classes=("a", "b"), temperature=2.0, thresholds=(0.52, 0.48)
    ),
    "multilabel": ClassDecision(
        kind="multilabel",
        classes=("a", "b"),
        slopes=(1.5, 0.5),
        intercepts=(0.1, -0.2),
        thresholds=(0.5, 0.4),
    ),
}


def untrained_classifier(
    decision: ClassDecision = DECISIONS["multiclass"], model: Any = None, **head: Any
) -> TrainedClassifier:
    """Make a classifier of the windows of ``encoders.untrained``, with random parameters."""
    plain = untrained(**model or {})
    config = plain.model_spec.model
    settings = HeadConfig(num_classes=len(decision.classes), **head)
    module = heads.Classifier(config, settings)
    windows = Windows.blank(2, 2, config.num_samples)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), windows))["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda one: (0.3 * rng.normal(size=one.shape)).astype(np.float32), dict(shapes)
    )
    return TrainedClassifier(
        config=config,
        head=settings,
        input_spec=plain.model_spec.input,
        params=params,
        decision=decision,
        fingerprint="f" * 64,
        origin="made/up",
    )


def classifier(*of: Any, **settings: Any) -> Classifier:
    """Put an untrained classifier to use, on one device and one window at a time."""
    return Classifier(untrained_classifier(*of, **settings), batch_size=1, num_devices=1)


def write_finetuned(folder: Path, trained: TrainedClassifier) -> Path:
    """Write the best model of a run, and its calibration, as a fine-tuning would."""
    names = trained.decision.classes
    kind = cast(ProblemType, trained.decision.kind)
    spec = ClassifierSpec(
        model=dataclasses.asdict(trained.config),
        head=dataclasses.asdict(trained.head),
        input=trained.input_spec,
        split={"rule": "random=|0.1|", "hash": "0"},
        labels=StoredLabels(task="wave", kind=kind, names=names),
        targets=TargetStatistics(mean=[0.0] * len(names), std=[1.0] * len(names)),
    )
    seen = TrainingProvenance(np.arange(3, dtype=np.uint64), np.arange(5, dtype=np.uint64))
    with Checkpoints(folder / BEST, keep=1) as checkpoints:
        content = {"params": trained.params, "model_state": {}}
        checkpoints.save(1, content, dataclasses.asdict(spec), seen)
    write_json(folder / "calibration.json", add_seal(dataclasses.asdict(trained.decision)))
    return folder
