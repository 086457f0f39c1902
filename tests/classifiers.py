"""Untrained classifiers with the specification of fine-tuned ones."""

from typing import Any

import jax
import numpy as np

from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.classifier import Classifier
from physio_mae_jax.inference.trained_classifier import TrainedClassifier
from physio_mae_jax.models.heads import classifier as heads
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.window_batch import Windows
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
