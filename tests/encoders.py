"""Untrained encoders with the model_spec of trained ones, and signals to give them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from physio_mae_jax import Encoder
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.window_transform import NORMALIZATION
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.masking import MaskConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.signals.channels import TWELVE_LEADS
from physio_mae_jax.training.checkpoint import Checkpoints
from physio_mae_jax.training.model_spec import ModelSpec
from tests.factories import random_params, tiny_model

WINDOW_SECONDS, RATE_HZ = 4.0, 100.0


def untrained(**changes: Any) -> TrainedModel:
    """Make a model of 4 s windows at 100 Hz that claims to know ECG and PPG."""
    input_changes = changes.pop("input", {})
    model = tiny_model(**changes)
    given = {
        "channels": (*TWELVE_LEADS, "PPG"),
        "num_channels": 12,
        "units": {"I": "mV", "II": "mV"},
        "sampling_rate_hz": RATE_HZ,
        "num_samples": 400,
        "band_hz": None,
        "normalization": NORMALIZATION,
        "filters": {"made_up": "as recorded"},
    }
    joint = changes.get("encoder_attention") == "joint"
    model_spec = ModelSpec(
        model=model.config,
        objective=ObjectiveConfig(mask=MaskConfig(kind="random" if joint else "tube")),
        contrastive=ContrastiveConfig(),
        input=InputSpec(**given | input_changes),
        split={"rule": "random=|0.1|", "hash": "0"},
    )
    seen = TrainingProvenance(np.arange(3, dtype=np.uint64), np.arange(5, dtype=np.uint64))
    params = random_params(model, model_spec.objective.mask)
    return TrainedModel(model_spec, params, seen, "made/up")


def encoder(**changes: Any) -> Encoder:
    """Put an untrained model to use, on one device."""
    return Encoder(untrained(**changes), batch_size=16, num_devices=1)


def write_run(folder: Path, **changes: Any) -> Path:
    """Write the checkpoint of an untrained model as a run would."""
    return _written(folder, untrained(**changes))


def untrained_contrastive(
    channels: tuple[str, str] = ("II", "PPG"),
    *,
    model: Mapping[str, Any] | None = None,
    **contrastive: Any,
) -> TrainedModel:
    """Make a model that is given two channels one at a time."""
    plain = untrained(**model or {})
    model_spec = dataclasses.replace(
        plain.model_spec,
        contrastive=ContrastiveConfig(weight=1.0, projection_width=8, **contrastive),
        input=dataclasses.replace(plain.model_spec.input, channels=channels, num_channels=2),
    )
    params = jax.jit(model_spec.new_params)(jax.random.key(0))
    return plain._replace(model_spec=model_spec, params=params)


def write_contrastive_run(folder: Path) -> Path:
    """Write the checkpoint of an untrained model that is given PPG and ECG one at a time."""
    return _written(folder, untrained_contrastive())


def _written(folder: Path, model: TrainedModel) -> Path:
    with Checkpoints(folder / "checkpoints", keep=1) as checkpoints:
        checkpoints.save(1, {"params": model.params}, model.model_spec.to_json(), model.trained_on)
    return folder


def beats(seconds: float, rate_hz: float, leads: int = 3, seed: int = 0) -> np.ndarray:
    """Sample a heart beat of 72 a minute, the same at any rate: [leads, n]."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = (time * 1.2) % 1.0
    rng = np.random.default_rng(seed)
    positions, widths = np.array([0.2, 0.36, 0.4, 0.44, 0.65]), np.array([25, 12, 12, 12, 45]) / 1e3
    heights = rng.normal([0.15, -0.1, 1.0, -0.2, 0.3], 0.1, size=(leads, 5))
    waves = np.exp(-0.5 * ((phase[:, None] - positions) / widths / 1.2) ** 2)
    return heights @ waves.T


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine between two embeddings."""
    first, second = first.ravel(), second.ravel()
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
