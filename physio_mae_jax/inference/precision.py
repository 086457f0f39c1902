"""Weights in half precision: rounding, and the agreement of the embeddings it costs.

Weights are stored as float16, not bfloat16: they are small numbers that need digits more than range
(11 significant bits instead of 8), and NumPy reads float16 without another library. A model always
computes with float32 copies.
"""

import dataclasses
from typing import Literal

import jax
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.compiled_encoder import CompiledEncoder, mesh_for
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.signals.channels import trained_channel_id
from physio_mae_jax.training.sharding import replicated

StoredDtype = Literal["float32", "float16"]
FLOAT32, FLOAT16 = "float32", "float16"
# Embeddings of float16 weights differ less than those of one recording at two sampling rates.
MIN_COSINE = 0.999
_NUM_WINDOWS = 16


def round_weights(trained: TrainedModel, dtype: str) -> TrainedModel:
    """Round the weights of a model to a type, in which they can be stored without loss.

    Args:
        trained: Trained model.
        dtype: 'float32', which changes nothing, or 'float16'.

    Returns:
        The model with float32 parameters.

    Raises:
        ConfigError: The type is unknown.
        DataError: The embeddings of the rounded model disagree with those of the model.
    """
    if dtype not in (FLOAT32, FLOAT16):
        raise ConfigError(f"dtype is {dtype!r}; choose {FLOAT32!r} or {FLOAT16!r}.")
    if dtype == FLOAT32:
        return trained
    with np.errstate(over="ignore"):  # an infinite weight fails the comparison
        params = jax.tree.map(_to_half, trained.params)
    rounded = trained._replace(params=params)
    found = compare_embeddings(trained, rounded)
    if not found >= MIN_COSINE:
        raise DataError(
            f"with weights of {dtype} the embeddings have a cosine of {found:.5f} to those of the "
            f"model; at least {MIN_COSINE} is required. Save it with dtype={FLOAT32!r}."
        )
    return rounded


def compare_embeddings(first: TrainedModel, second: TrainedModel) -> float:
    """Return the smallest cosine between the embeddings of two models with the same input.

    Both encode the same synthetic windows. The mean embedding of the first model is subtracted:
    embeddings of different recordings have much in common, and would agree by that alone.
    """
    embeddings = _embed_examples(first, second)
    centered = [values - embeddings[0].mean(axis=0) for values in embeddings]
    norms = [np.linalg.norm(values, axis=1) for values in centered]
    cosines = (centered[0] * centered[1]).sum(axis=1) / (norms[0] * norms[1])
    return float(cosines.min())


def float32_encoder(trained: TrainedModel, mesh: Mesh) -> CompiledEncoder:
    """Return the encoder in float32, since rounding to bfloat16 would hide smaller errors.

    Args:
        trained: Trained model.
        mesh: Device mesh to run it on.
    """
    config = dataclasses.replace(
        trained.model_spec.model, compute_dtype="float32", attention_implementation="xla"
    )
    return CompiledEncoder.of(
        config,
        trained.autoencoder_params["encoder"],
        mesh,
        channel_independent=trained.model_spec.channel_independent,
    )


def example_windows(given: InputSpec, num_columns: int, num_windows: int) -> dict[str, np.ndarray]:
    """Make windows of beats and noise with all channels of a model.

    Args:
        given: Windows of the model.
        num_columns: Number of their columns W.
        num_windows: Number of windows B.

    Returns:
        Entries 'signal' [B, M, L] of unit variance, 'channel_mask' and 'channel_ids' [B, M], and
        'column_weight' [B, W].
    """
    channels = given.channels[: given.num_channels]
    shape = (num_windows, len(channels))
    rng = np.random.default_rng(0)
    seconds = np.arange(given.num_samples) / given.sampling_rate_hz
    rate_hz = rng.uniform(0.8, 2.0, (num_windows, 1, 1))
    phase = (seconds * rate_hz + rng.uniform(size=(num_windows, 1, 1))) % 1.0
    centers, heights = rng.uniform(0.2, 0.8, (*shape, 1)), rng.normal(size=(*shape, 1))
    beats = heights * np.exp(-0.5 * ((phase - centers) / 0.05) ** 2)
    drift = rng.normal(size=(*shape, given.num_samples)).cumsum(axis=2)
    signal = beats + 0.02 * drift + 0.02 * rng.normal(size=drift.shape)
    signal -= signal.mean(axis=2, keepdims=True)
    signal /= signal.std(axis=2, keepdims=True)
    ids = np.asarray([trained_channel_id(name) for name in channels], np.int32)
    return {
        "signal": signal.astype(np.float32),
        "channel_mask": np.ones(shape, bool),
        "channel_ids": np.tile(ids, (num_windows, 1)),
        "column_weight": np.ones((num_windows, num_columns), np.float32),
    }


def _to_half(values: object) -> np.ndarray:
    array = np.asarray(values)
    return array.astype(np.float16).astype(np.float32) if array.dtype == np.float32 else array


def _embed_examples(first: TrainedModel, second: TrainedModel) -> list[np.ndarray]:
    mesh = mesh_for(_NUM_WINDOWS, 1)
    compiled = float32_encoder(first, mesh)
    other = jax.device_put(second.autoencoder_params["encoder"], replicated(mesh))
    spec = first.model_spec
    windows = example_windows(spec.input, spec.model.num_columns, _NUM_WINDOWS)
    encoders = (compiled, dataclasses.replace(compiled, params=other))
    return [np.asarray(encoder.run(windows, "pooled")) for encoder in encoders]
