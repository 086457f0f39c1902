"""Inspection of an encoder: reconstructions of masked intervals, and attention maps."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from physio_mae_jax.data.channel_plan import KnownChannels
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.arguments import listed, sequence_of, setting
from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.recording_plan import check_known_channels
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.inspected_windows import AttendedWindow, ReconstructedWindow
from physio_mae_jax.models.attention import ATTENTION
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.layer_plan import LayerPlan
from physio_mae_jax.models.mixers import MIXERS
from physio_mae_jax.models.stack import split_channels
from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES, Windows
from physio_mae_jax.objectives.masking import mask_of_columns, num_visible
from physio_mae_jax.setting_kinds import Number
from physio_mae_jax.signals import wavelet
from physio_mae_jax.signals.wavelet_bank import WaveletBank, wavelet_bank
from physio_mae_jax.training.evaluation import reconstruct_masked
from physio_mae_jax.types import Params

_SECONDS = Number(low=0.0, high=1e9, example=60.0)
_SHARE = Number(low=0.0, high=1.0, example=0.75)
_SEED = Number(low=0, high=2**63 - 1, whole=True, example=0)
_SPANS = "a list of (start, stop) in seconds"


class InspectedWindow(NamedTuple):
    """One window of a recording, preprocessed for the model.

    Attributes:
        batch: Entries 'signal' [1, M, L], 'channel_mask' and 'channel_ids' [1, M].
        channels: Channel names [M], in the model's order.
        title: Name of the recording and start of the window.
    """

    batch: dict[str, np.ndarray]
    channels: tuple[str, ...]
    title: str


def one_window(
    trained: TrainedModel,
    window: WindowConfig,
    signal: object,
    description: Mapping[str, object],
    start_seconds: float,
) -> InspectedWindow:
    """Cut one complete window from a recording.

    Args:
        trained: Trained model.
        window: Its windows.
        signal: One recording.
        description: Fields of ``SignalMetadata``.
        start_seconds: Start of the window, seconds.

    Raises:
        ConfigError: ``description`` has an unknown field.
        DataError: There is no window from ``start_seconds`` on, or the signal is invalid.
    """
    start_seconds = setting(start_seconds, "start_seconds", _SECONDS)
    reader, names = one_recording(trained, window, signal, description)
    info = reader.source.recordings[0]
    start = round(start_seconds * window.sampling_rate_hz)
    if not reader.starts(0).contains(start):
        raise DataError(
            f"{info.record_id} has no whole window of {window.seconds:g} s from "
            f"{start_seconds:g} s on: it lasts {info.seconds:g} s, and windows keep clear of "
            "values that are not finite."
        )
    example = reader.read(0, start)
    batch = {name: example[name][None] for name in CHANNEL_ENTRIES}
    return InspectedWindow(batch, names, f"{info.record_id}, from {start_seconds:g} s")


def one_recording(
    trained: TrainedModel,
    window: WindowConfig,
    signal: object,
    description: Mapping[str, object],
) -> tuple[WindowReader, tuple[str, ...]]:
    """Return a reader of the windows of one recording, and its channels in the model's order.

    Arguments and errors as for ``one_window``.
    """
    known = trained.model_spec.input.channels
    given = sequence_of(SignalMetadata, description)
    recordings = as_recordings(signal, given, known).recordings
    check_known_channels(recordings, known)
    if len(recordings.recordings) != 1:
        raise DataError(
            f"{len(recordings.recordings)} recordings are given; inspect one at a time."
        )
    info = recordings.recordings[0]
    planner = KnownChannels(known, window.units)
    names = planner.plan(info).channels
    own = dataclasses.replace(window, num_channels=len(names))
    return WindowReader(recordings, own, planner), names


def reconstruct_window(
    trained: TrainedModel, inspected: InspectedWindow, masked: np.ndarray
) -> ReconstructedWindow:
    """Mask columns [W] (bool) of a window and predict them.

    Raises:
        ConfigError: All columns are masked, or none.
    """
    model, model_spec = trained.autoencoder, trained.model_spec
    alone, channels = model_spec.channel_independent, len(inspected.channels)
    examples = _one_by_one(inspected.batch) if alone else inspected.batch
    mask = mask_of_columns(masked, 1 if alone else channels, model.config)
    if alone:
        mask = jax.tree.map(lambda values: jnp.repeat(values, channels, axis=0), mask)
    arrays = _redraw(
        model, model_spec.objective, trained.autoencoder_params, examples, mask, (1, channels)
    )
    bank = _bank(model.config)
    return ReconstructedWindow(
        title=inspected.title,
        channels=inspected.channels,
        sampling_rate_hz=model.config.sampling_rate_hz,
        frequencies_hz=bank.frequencies_hz,
        **{name: np.asarray(values)[0] for name, values in arrays.items()},
    )


_redraw = jax.jit(reconstruct_masked, static_argnames=("model", "objective", "shape"))


def masked_columns(
    config: MaeConfig, spans: Sequence[tuple[float, float]] | None, ratio: float, seed: int
) -> np.ndarray:
    """Return which columns [W] are masked: those that spans overlap, or a random share.

    Args:
        config: Configuration of the model.
        spans: Intervals (start, stop) in seconds from the window start; None for a random share.
        ratio: Ratio of columns masked at random.
        seed: Random seed of the choice.

    Raises:
        ConfigError: A span is outside the window.
    """
    columns, masked = config.num_columns, np.zeros(config.num_columns, bool)
    if spans is None:
        ratio = setting(ratio, "mask_ratio", _SHARE)
        seed = int(setting(seed, "seed", _SEED))
        count = columns - num_visible(columns, ratio)
        masked[np.random.default_rng(seed).permutation(columns)[:count]] = True
        return masked
    column_seconds = config.patch_samples / config.sampling_rate_hz
    for span in listed(spans, "masked_seconds", _SPANS):
        ends = listed(span, "masked_seconds", _SPANS)
        if len(ends) != 2:
            raise ConfigError(
                f"masked_seconds has {len(ends)} numbers in an interval; give {_SPANS}."
            )
        start, stop = (setting(end, "masked_seconds", _SECONDS) for end in ends)
        if not 0 <= start < stop <= columns * column_seconds + 1e-9:
            raise ConfigError(
                f"masked_seconds has ({start:g}, {stop:g}); (start, stop) must lie within the "
                f"window of {columns * column_seconds:g} s."
            )
        # The tolerance covers only the rounding of seconds, far below a sample.
        masked[int(start / column_seconds + 1e-6) : int(np.ceil(stop / column_seconds - 1e-6))] = 1
    return masked


def attend_window(
    trained: TrainedModel, inspected: InspectedWindow, layer: int | None
) -> AttendedWindow:
    """Compute the attention of an encoder in a window.

    Args:
        trained: Trained model.
        inspected: Window to inspect.
        layer: Encoder layer, negative ones from the last; None for the mean of all.

    Raises:
        ConfigError: There is no such layer, or the model's time mixer has no attention weights.
    """
    config = trained.autoencoder.config
    shown = _attention_layers(config)
    if layer is not None:
        layer = _chosen_layer(config, shown, layer)
    alone = trained.model_spec.channel_independent
    examples = _one_by_one(inspected.batch) if alone else inspected.batch
    params = trained.autoencoder_params["encoder"]
    received, between = _attended(config, params, examples)

    def of_layer(values: jax.Array, layers: Sequence[int]) -> np.ndarray:
        return np.asarray(values.mean(axis=0) if layer is None else values[layers.index(layer)])

    signal = jnp.asarray(inspected.batch["signal"])
    scalogram = wavelet.scalogram(signal, config.wavelet, config.sampling_rate_hz)
    every = "all layers" if len(shown) == config.depth else "the layers of attention"
    which = f"mean of {every}" if layer is None else f"layer {layer}"
    shape = (len(inspected.channels), config.num_columns, config.num_rows)
    return AttendedWindow(
        title=f"{inspected.title}, {which}",
        channels=inspected.channels,
        sampling_rate_hz=config.sampling_rate_hz,
        frequencies_hz=_bank(config).frequencies_hz,
        signal=np.asarray(signal[0]),
        scalogram=np.asarray(scalogram[0, :, 0]),
        received=of_layer(received, shown).reshape(shape),
        between=None if between is None else of_layer(between, range(config.depth)),
    )


def _attention_layers(config: MaeConfig) -> list[int]:
    """Return the numbers of the encoder layers whose attention can be shown."""
    mixers = LayerPlan(config.depth, config.attention_every).mixers(config.time_mixer)
    shown = [number for number, name in enumerate(mixers) if MIXERS[name].sows_received_weights]
    if not shown:
        able = [name for name, mixer in MIXERS.items() if mixer.sows_received_weights]
        raise ConfigError(
            f"the model has model.time_mixer={config.time_mixer!r}, which computes no attention "
            "weights; inspect its reconstructions instead, or a model with model.time_mixer "
            f"{' or '.join(able)}."
        )
    return shown


def _chosen_layer(config: MaeConfig, shown: Sequence[int], layer: int) -> int:
    """Return the number of a layer from 0, checked to be one of those with attention."""
    layers = Number(low=-config.depth, high=config.depth - 1, whole=True, example=shown[0])
    number = int(setting(layer, "layer", layers)) % config.depth
    if number not in shown:
        raise ConfigError(
            f"layer is {layer}, of model.time_mixer={config.time_mixer!r}, which computes no "
            f"attention weights; choose one of {', '.join(map(str, shown))}."
        )
    return number


@functools.partial(jax.jit, static_argnames=("config",))
def _attended(
    config: MaeConfig, params: Params, batch: Mapping[str, jax.Array]
) -> tuple[jax.Array, jax.Array | None]:
    """Return the attention received and the attention between channels, per layer.

    Returns:
        [layers, M, W, H] of those whose time mixer is attention, where 1 is the value under
        uniform attention, and [depth, M, M] from the row's channel to the column's, None if
        channels exchange nothing.
    """
    windows = Windows.of(batch)
    _, kept = TransformerEncoder(config).apply(
        {"params": params}, windows, None, mutable=[ATTENTION]
    )
    sown = flatten_dict(kept[ATTENTION]["stack"])
    received = _by_layer(config, sown, "received")
    if config.encoder_attention == "joint":
        received = received[..., 1:] if config.class_token else received
        grid = split_channels(
            received.reshape(len(received), -1, 1), config.num_rows, config.num_columns
        )[..., 0]
        return grid * grid[0].size, None
    grid = received.reshape(len(received), -1, config.num_columns, config.num_rows)
    between = None
    if config.channel_attention and windows.signal.shape[1] > 1:
        between = _by_layer(config, sown, "pairs").mean(axis=1)
    return grid * config.num_tokens, between


def _by_layer(
    config: MaeConfig, sown: Mapping[tuple[str, ...], tuple[jax.Array]], name: str
) -> jax.Array:
    """Stack what the layers of an encoder have sown as ``name``, in the order of the layers."""
    values, order = [], []
    for kind, numbers in LayerPlan(config.depth, config.attention_every).layers().items():
        for path, (array,) in sown.items():
            if path[: len(kind)] == kind and path[-1] == name:
                values.append(array.reshape(numbers.size, *array.shape[numbers.ndim :]))
                order.append(numbers.ravel())
    return jnp.concatenate(values)[np.argsort(np.concatenate(order))]


def _one_by_one(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Split one window of M channels into M single-channel windows."""
    return {name: values.reshape(-1, 1, *values.shape[2:]) for name, values in batch.items()}


def _bank(config: MaeConfig) -> WaveletBank:
    return wavelet_bank(config.wavelet, config.sampling_rate_hz, config.num_samples)
