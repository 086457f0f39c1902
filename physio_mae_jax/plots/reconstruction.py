"""Plots of the input, the masked columns and the predictions of a masked autoencoder."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from physio_mae_jax.inspected_windows import ReconstructedWindow
from physio_mae_jax.plots.names import format_name

_TRUTH = "0.25"
_PREDICTED = "#d1495b"
_SHADE = "#dfe7ef"
_MAP = "viridis"
_MAX_SECONDS = 60.0
# Maximum characters of a channel name beside its axis.
_MAX_LETTERS = 40


def draw_reconstruction(window: ReconstructedWindow, max_channels: int = 3) -> Figure:
    """Draw the waveform over three scalograms (truth, input, prediction) for a few channels.

    Of a window longer than a minute, the minute in the middle, in which beats can be distinguished.
    """
    window = window.excerpt(_MAX_SECONDS)
    count = min(max_channels, len(window.channels))
    figure = Figure(figsize=(13, 0.9 + 4.0 * count), layout="constrained")
    figure.suptitle(format_name(window.title))
    grid = figure.add_gridspec(2 * count, 3, height_ratios=[1.0, 1.1] * count)
    for row in range(count):
        _draw_waveform(figure.add_subplot(grid[2 * row, :]), window, row, legend=row == 0)
        _draw_scalograms(figure, grid, window, row)
    return figure


def _draw_waveform(axes: Axes, window: ReconstructedWindow, row: int, legend: bool) -> None:
    time = np.arange(window.signal.shape[1]) / window.sampling_rate_hz
    for number, span in enumerate(window.masked_spans()):
        label = "masked" if number == 0 else None
        axes.axvspan(*span, color=_SHADE, linewidth=0, label=label)
    axes.plot(time, window.signal[row], color=_TRUTH, linewidth=0.9, label="recorded")
    axes.plot(time, window.predicted[row], color=_PREDICTED, linewidth=1.3, label="predicted")
    axes.set_xlim(0, window.seconds)
    axes.set_ylabel(f"{format_name(window.channels[row], longest=_MAX_LETTERS)}\n(z-score)")
    axes.set_xlabel("time (s)")
    if legend:
        axes.legend(loc="upper right", ncols=3, fontsize=8, framealpha=0.9)


def _draw_scalograms(figure: Figure, grid: GridSpec, window: ReconstructedWindow, row: int) -> None:
    panels = (
        ("recorded", window.scalogram, False),
        ("encoder input", window.visible_scalogram, True),
        ("masked columns, predicted", window.predicted_scalogram, False),
    )
    # One color range from the truth for all three, or a poor prediction could look accurate.
    limit = float(np.percentile(np.abs(window.scalogram[row]), 99)) or 1.0
    image = None
    axes_row = []
    for column, (name, values, shaded) in enumerate(panels):
        axes = figure.add_subplot(grid[2 * row + 1, column])
        axes_row.append(axes)
        image = draw_scalogram(
            axes, values[row], window.frequencies_hz, window.seconds, limit=limit
        )
        if shaded:
            for span in window.masked_spans():
                axes.axvspan(*span, color="white", alpha=0.88, linewidth=0)
        axes.set_title(
            f"{format_name(window.channels[row], longest=_MAX_LETTERS)}: {name}", fontsize=9
        )
        axes.set_xlabel("time (s)")
    if image is not None:
        figure.colorbar(image, ax=axes_row, label="|coefficient|", pad=0.01)


def draw_scalogram(
    axes: Axes,
    values: np.ndarray,
    frequencies_hz: np.ndarray,
    seconds: float,
    *,
    limit: float | None = None,
    cmap: str = _MAP,
) -> QuadMesh:
    """Draw the magnitude of coefficients [S, L] over time and frequency.

    Args:
        axes: Axes to draw on.
        values: [S, L] coefficients.
        frequencies_hz: [S] center frequencies of the rows, high to low.
        seconds: Duration in seconds.
        limit: Upper end of the color range; None for the 99th percentile.
        cmap: Name of the color map.
    """
    largest = limit or float(np.percentile(np.abs(values), 99)) or 1.0
    image = axes.pcolormesh(
        np.linspace(0, seconds, values.shape[1] + 1),
        _edges(frequencies_hz),
        np.abs(values),
        cmap=cmap,
        vmin=0,
        vmax=largest,
        rasterized=True,
    )
    axes.set_yscale("log")
    axes.set_ylabel("frequency (Hz)")
    axes.set_yticks(_ticks(frequencies_hz))
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    return image


def _edges(centers: np.ndarray) -> np.ndarray:
    """Return the S + 1 boundaries of rows with centers about evenly spaced in log frequency."""
    logs = np.log(centers)
    between = (logs[1:] + logs[:-1]) / 2
    return np.exp(
        np.concatenate([[2 * logs[0] - between[0]], between, [2 * logs[-1] - between[-1]]])
    )


def _ticks(frequencies_hz: np.ndarray) -> list[float]:
    candidates = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
    return [
        f
        for f in candidates
        if frequencies_hz.min() <= f * 1.01 and f <= frequencies_hz.max() * 1.01
    ]
