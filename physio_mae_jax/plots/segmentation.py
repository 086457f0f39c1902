"""Waveforms with the annotated and the predicted classes of their samples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from physio_mae_jax.plots.names import format_name

_SIGNAL = "0.25"
_UNLABELED = "0.9"
_COLORS = ("#2a9d8f", "#d1495b", "#3d6fb6", "#edae49", "#7a5195", "#8d6e63")
# Height of the strips of classes, and of the waveform between them, as shares of the axes.
_STRIP = 0.13
# Largest number of characters of a class name, and of classes in a row of the legend.
_MAX_LETTERS = 24
_MAX_COLUMNS = 6


class SegmentedChannel(NamedTuple):
    """A channel of a window.

    Attributes:
        title: Recording and channel.
        signal: [L] samples.
        predicted, targets: [L] index of the class; 0 for no interval, -1 for unknown.
    """

    title: str
    signal: np.ndarray
    predicted: np.ndarray
    targets: np.ndarray


def draw_segmentation(
    channels: Sequence[SegmentedChannel], classes: Sequence[str], sampling_rate_hz: float
) -> Figure:
    """Draw waveforms with a strip of annotated classes above and one of predicted classes below.

    Args:
        channels: Channels to draw, one below the other.
        classes: Class names [Y]; the first is that of samples in no interval.
        sampling_rate_hz: Sampling rate (Hz).
    """
    figure = Figure(figsize=(13, 0.8 + 2.1 * len(channels)), layout="constrained")
    rows = figure.subplots(len(channels), 1, squeeze=False)[:, 0]
    for axes, channel in zip(rows, channels, strict=True):
        _draw_channel(axes, channel, sampling_rate_hz)
    rows[-1].set_xlabel("time (s)")
    handles = [
        Patch(color=_color(k), label=format_name(name, longest=_MAX_LETTERS))
        for k, name in enumerate(classes)
        if k
    ]
    handles.append(Patch(color=_UNLABELED, label="no label"))
    figure.legend(handles=handles, loc="outside upper right", ncols=_MAX_COLUMNS, fontsize=9)
    return figure


def _draw_channel(axes: Axes, channel: SegmentedChannel, sampling_rate_hz: float) -> None:
    time = np.arange(len(channel.signal)) / sampling_rate_hz
    low, high = float(channel.signal.min()), float(channel.signal.max())
    margin = _STRIP * 1.3 * max(high - low, 1e-6) / (1 - 2 * _STRIP * 1.3)
    axes.plot(time, channel.signal, color=_SIGNAL, linewidth=0.9)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(0, len(channel.signal) / sampling_rate_hz)
    axes.set_title(format_name(channel.title), fontsize=9, loc="left")
    for values, bottom, name in (
        (channel.targets, 1 - _STRIP, "annotated"),
        (channel.predicted, 0.0, "predicted"),
    ):
        _draw_strip(axes, values, sampling_rate_hz, (bottom, bottom + _STRIP))
        axes.text(
            1.005, bottom + _STRIP / 2, name, transform=axes.transAxes, va="center", fontsize=8
        )
    axes.set_yticks([])


def _draw_strip(
    axes: Axes, values: np.ndarray, sampling_rate_hz: float, height: tuple[float, float]
) -> None:
    """Draw each run of a class as a bar, from the start of its first sample to that of the next."""
    edges = np.flatnonzero(np.diff(values)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(values)], strict=True):
        if label := int(values[start]):
            span = (start / sampling_rate_hz, stop / sampling_rate_hz)
            axes.axvspan(*span, *height, color=_color(label), linewidth=0)


def _color(label: int) -> str:
    return _UNLABELED if label < 0 else _COLORS[(label - 1) % len(_COLORS)]
