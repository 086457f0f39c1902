"""Lag of a pulse after its ECG, by the time steps of a model or by beat times."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.data.window_transform import Example, WindowConfig
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.arguments import number, setting
from physio_mae_jax.inference.inspection import one_recording
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES, Windows
from physio_mae_jax.objectives.contrastive import split_modalities
from physio_mae_jax.objectives.pretraining import MaskedModel
from physio_mae_jax.setting_kinds import Number
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.lagged_similarity import best_lags, paired_similarity
from physio_mae_jax.signals.pulse_alignment import (
    BeatTimes,
    PulseAlignment,
    align_by_peaks,
    complete_alignment,
    window_starts,
)
from physio_mae_jax.training.pretrain_step import MODEL_INPUTS
from physio_mae_jax.types import Params

METHODS = ("model", "peaks")
_STEP_SECONDS = Number(low=0.1, high=3_600.0, example=5.0)
_OFFSET_SECONDS = Number(low=-2.0, high=2.0, example=0.0)
_MIN_RATE_HZ = 25.0  # of beat times
_BATCH = 32


def align(
    trained: TrainedModel,
    window: WindowConfig,
    pair: tuple[np.ndarray, np.ndarray],
    sampling_rate_hz: float,
    method: str,
    step_seconds: float,
    offset_seconds: float = 0.0,
) -> PulseAlignment:
    """Measure the lag of a pulse after its ECG; arguments as for ``Encoder.align``.

    Args:
        trained: Trained model.
        window: Its windows.
        pair: Pulse [n] and ECG [n].
        sampling_rate_hz, method, step_seconds, offset_seconds: See ``Encoder.align``.

    Raises:
        ConfigError: An argument is invalid, or the model was not trained to align.
        DataError: The signals are invalid.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    rate = number(sampling_rate_hz, "sampling_rate_hz", "a number of samples per second")
    if rate < _MIN_RATE_HZ:
        raise DataError(
            f"sampling_rate_hz is {rate:g}, but beats need {_MIN_RATE_HZ:g} Hz or more; give "
            "signals of a higher rate."
        )
    step_seconds = setting(step_seconds, "step_seconds", _STEP_SECONDS)
    offset_seconds = setting(offset_seconds, "offset_seconds", _OFFSET_SECONDS)
    ppg, ecg = _checked(pair)
    if method == "peaks":
        if offset_seconds:
            raise ConfigError(
                f"offset_seconds={offset_seconds:g} corrects the lags of a model, and "
                "method='peaks' measures arrival times; set it to 0."
            )
        return align_by_peaks(
            ppg, ecg, rate, window_seconds=window.seconds, step_seconds=step_seconds
        )
    if not trained.model_spec.contrastive.is_aligned:
        raise ConfigError(
            f"the model from {trained.origin} was not trained with contrastive.readout='aligned', "
            "so its time steps are not comparable; use such a model, or method='peaks'."
        )
    return _align_by_model(
        trained, window, np.stack([ppg, ecg]), rate, step_seconds, offset_seconds
    )


def _checked(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return pulse and ECG as float64 vectors of one length."""
    ppg, ecg = (np.asarray(one, np.float64) for one in pair)
    if ppg.ndim != 1 or ppg.shape != ecg.shape:
        raise DataError(
            f"ppg has shape {ppg.shape} and ecg {ecg.shape}; give one row of samples of each, of "
            "the same length."
        )
    return ppg, ecg


def _align_by_model(
    trained: TrainedModel,
    window: WindowConfig,
    signal: np.ndarray,
    sampling_rate_hz: float,
    step_seconds: float,
    offset_seconds: float,
) -> PulseAlignment:
    """Align signals [2, n] by the time steps of their windows; gaps have no lag."""
    names = trained.model_spec.input.channels
    described: Mapping[str, object] = {"sampling_rate_hz": sampling_rate_hz, "channels": names}
    reader, order = one_recording(trained, window, signal, described)
    rows = [order.index(canonical_name(name)) for name in names]  # as trained: the pulse first
    starts = window_starts(signal.shape[1] / sampling_rate_hz, window.seconds, step_seconds)
    firsts = [round(start * window.sampling_rate_hz) for start in starts]
    usable = [i for i, first in enumerate(firsts) if reader.starts(0).contains(first)]
    lags, confidence = np.full(len(starts), np.nan), np.zeros(len(starts))
    if usable:
        windows = [_rearranged(reader.read(0, firsts[i]), rows) for i in usable]
        scores = _lag_scores(trained, windows)
        spec = trained.model_spec
        step = spec.contrastive.step_seconds(spec.model)
        found, similarity = best_lags(scores, spec.contrastive.lags(spec.model), step)
        lags[usable], confidence[usable] = found + offset_seconds, np.clip(similarity, 0.0, 1.0)
    beats = BeatTimes.of(signal[0], signal[1], sampling_rate_hz)
    return complete_alignment("model", beats, starts, window.seconds, lags, confidence)


def _rearranged(example: Example, rows: list[int]) -> Example:
    return {
        name: values[rows] if name in CHANNEL_ENTRIES else values
        for name, values in example.items()
    }


def _lag_scores(trained: TrainedModel, windows: list[Example]) -> np.ndarray:
    """Return the cosine of the time steps of both channels at every lag: [n, A]."""
    spec = trained.model_spec
    model, lags = spec.build(), spec.contrastive.lags(spec.model)
    parts = []
    for start in range(0, len(windows), _BATCH):
        chunk = windows[start : start + _BATCH]
        padded = chunk + [chunk[-1]] * (_BATCH - len(chunk))
        batch = {
            name: jnp.asarray(np.stack([one[name] for one in padded])) for name in MODEL_INPUTS
        }
        logits = _lag_logits(model, lags, trained.params, batch)
        parts.append(np.asarray(logits)[: len(chunk)])
    return np.concatenate(parts) * spec.contrastive.temperature


@functools.partial(jax.jit, static_argnames=("model", "lags"))
def _lag_logits(
    model: MaskedModel, lags: tuple[int, ...], params: Params, batch: dict[str, jax.Array]
) -> jax.Array:
    examples = Windows.of(split_modalities(batch))
    steps = model.apply({"params": params}, examples, method="embed_steps").steps
    return paired_similarity(steps[::2], steps[1::2], lags)
