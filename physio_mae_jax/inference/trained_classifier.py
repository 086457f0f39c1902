"""A fine-tuned classifier of a run, loaded from the description in its best checkpoint."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.regular_file import shorten_path
from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.inference.compiled_encoder import mesh_for
from physio_mae_jax.inference.trained_model import named_arrays
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.classifier import Classifier
from physio_mae_jax.training.classifier_spec import ClassifierSpec
from physio_mae_jax.training.model_spec import parse_model_config
from physio_mae_jax.types import JsonObject, Params

_HINT = "copy the run again, or run its command again."


class TrainedClassifier(NamedTuple):
    """A fine-tuned classifier of windows.

    Attributes:
        config: Configuration of the encoder.
        head: Settings of the head.
        input_spec: Windows of the model.
        params: Parameters of ``models.heads.classifier.Classifier``.
        decision: Probabilities and decisions from its logits, as validation chose them.
        fingerprint: Hash of the parameters, the settings and the decision.
        origin: Path it was loaded from.
    """

    config: MaeConfig
    head: HeadConfig
    input_spec: InputSpec
    params: Params
    decision: ClassDecision
    fingerprint: str
    origin: str


def load_classifier(path: str | Path) -> TrainedClassifier:
    """Load the best model of a fine-tuning run, with the thresholds of its validation.

    Args:
        path: Work folder of the run.

    Raises:
        UserError: The run is unfinished or damaged, or it is not a classification of windows by
            our encoder.
    """
    # Orbax and Grain take seconds.
    from physio_mae_jax.training.checkpoint import Checkpoints
    from physio_mae_jax.training.supervised_trainable import BEST, load_best

    folder = local_path(path, "path")
    best = folder / BEST
    if not best.is_dir():
        raise UserError(
            f"{shorten_path(folder)} holds no fine-tuned model ({BEST}/ is not there); give the "
            "work folder of a fine-tuning run. A pre-trained model is loaded by Encoder."
        )
    with Checkpoints(best, keep=None) as checkpoints:
        if checkpoints.latest_step is None:
            raise UserError(f"{best} holds no complete checkpoint; resume the run.")
        checkpoints.reject_damage()
        spec = ClassifierSpec.from_json(checkpoints.model_spec(), best)
    head = _head(spec, folder)
    where = f"the model in {folder}"
    config = parse_model_config(spec.model, where)
    decision = _decision(folder, spec)
    # Of at least two channels: a model of one has no attention across channels, which adds 0.
    params, _ = load_best(
        folder,
        Classifier(config, head),
        (spec.input.num_channels, spec.input.num_samples),
        mesh_for(1, 1),
        max(2, spec.input.num_channels),
    )
    described = [spec.model, spec.head, spec.input.to_json(), dataclasses.asdict(decision)]
    return TrainedClassifier(
        config=config,
        head=head,
        input_spec=spec.input,
        params=params,
        decision=decision,
        fingerprint=_hash(described, params),
        origin=str(path),
    )


def _head(spec: ClassifierSpec, folder: Path) -> HeadConfig:
    """Return the settings of the head; raises as ``load_classifier``."""
    if set(spec.head) == {"num_classes"}:
        raise ConfigError(
            f"the run in {folder} trained a ResNet; only models with architecture='mae' are loaded "
            "here. Evaluate it with --config=configs/evaluate.py:method=head."
        )
    if spec.labels.kind not in ("multilabel", "multiclass"):
        raise ConfigError(
            f"the run in {folder} is a {spec.labels.kind}; only classifications of windows have "
            "probabilities. Evaluate it with --config=configs/evaluate.py:method=head."
        )
    return check_types(HeadConfig, dict(spec.head), f"the head of the model in {folder}", _HINT)


def _decision(folder: Path, spec: ClassifierSpec) -> ClassDecision:
    path = folder / "calibration.json"
    if not path.is_file():
        raise ConfigError(
            f"the run in {folder} has no calibration.json, so it is unfinished; repeat its command "
            "to resume it."
        )
    names = [field.name for field in dataclasses.fields(ClassDecision)]
    content: JsonObject = read_sealed(path, _HINT)
    chosen = {name: content[name] for name in names if name in content}
    found = check_types(ClassDecision, chosen, str(path), _HINT)
    problem = found.contradiction()
    if (found.kind, found.classes) != (spec.labels.kind, spec.labels.names):
        problem = f"its classes are {', '.join(found.classes)}, but the model has " + ", ".join(
            spec.labels.names
        )
    if problem:
        raise DataError(f"{path}: {problem}; {_HINT}")
    return found


def _hash(described: object, params: Params) -> str:
    found = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, values in sorted(named_arrays(params).items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()
