"""Plots of an encoder's attention over waveforms and scalograms."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from physio_mae_jax.inspected_windows import AttendedWindow
from physio_mae_jax.plots.names import format_name
from physio_mae_jax.plots.reconstruction import draw_scalogram

_LINE = "0.15"
_MAP = "magma_r"
_HEAT = "OrRd"
# Maximum characters of a channel name beside its axis.
_MAX_LETTERS = 40


def draw_attention(window: AttendedWindow, max_channels: int = 3) -> Figure:
    """Draw attention over time behind waveforms and scalograms, and between channels."""
    count = min(max_channels, len(window.channels))
    extra = window.between is not None
    figure = Figure(figsize=(13 + 4 * extra, 0.9 + 3.6 * count), layout="constrained")
    figure.suptitle(f"attention: {format_name(window.title)}")
    grid = figure.add_gridspec(2 * count, 1 + extra, width_ratios=[5, 2][: 1 + extra])
    # One color range for all channels, so that they are comparable.
    columns = window.received.mean(axis=2)
    limits = float(columns[:count].min()), float(columns[:count].max())
    waveforms: list[Axes] = []
    for row in range(count):
        axes = figure.add_subplot(grid[2 * row, 0])
        waveforms.append(axes)
        shading = _draw_waveform(axes, window, row, limits)
        _draw_scalogram(figure.add_subplot(grid[2 * row + 1, 0]), window, row)
    figure.colorbar(shading, ax=waveforms, label="received (1 = uniform)", pad=0.01)
    if window.between is not None:
        _draw_between(figure, figure.add_subplot(grid[:2, 1]), window.channels, window.between)
    return figure


def _draw_waveform(
    axes: Axes, window: AttendedWindow, row: int, limits: tuple[float, float]
) -> AxesImage:
    time = np.arange(window.signal.shape[1]) / window.sampling_rate_hz
    low, high = window.signal[row].min() - 0.3, window.signal[row].max() + 0.3
    shading = axes.imshow(
        window.received[row].mean(axis=1)[None],
        extent=(0, window.seconds, low, high),
        aspect="auto",
        cmap=_HEAT,
        vmin=limits[0],
        vmax=limits[1],
        alpha=0.75,
    )
    axes.plot(time, window.signal[row], color=_LINE, linewidth=0.9)
    axes.set_xlim(0, window.seconds)
    axes.set_ylim(low, high)
    axes.set_ylabel(f"{format_name(window.channels[row], longest=_MAX_LETTERS)}\n(z-score)")
    return shading


def _draw_scalogram(axes: Axes, window: AttendedWindow, row: int) -> None:
    """Draw a scalogram, with a circle per patch sized by the attention that it receives."""
    draw_scalogram(axes, window.scalogram[row], window.frequencies_hz, window.seconds, cmap="Greys")
    received = window.received[row]
    columns, rows = received.shape
    time = (np.arange(columns) + 0.5) * window.seconds / columns
    # Patches cut the rows of the scalogram evenly, and these lie evenly in log frequency.
    bands = np.exp([part.mean() for part in np.split(np.log(window.frequencies_hz), rows)])
    x, y = np.meshgrid(time, bands, indexing="ij")
    largest = 160.0 * 50 / max(columns, 50)
    sizes = largest * received / received.max()
    axes.scatter(x, y, s=sizes, c=received, cmap=_HEAT, edgecolors=_LINE, linewidths=0.3, vmin=0)
    axes.set_xlabel("time (s); circles: attention received by a patch")


def _draw_between(
    figure: Figure, axes: Axes, channels: tuple[str, ...], between: np.ndarray
) -> None:
    image = axes.imshow(between, cmap=_MAP, vmin=0)
    indices = np.arange(len(channels))
    names = [format_name(name, longest=_MAX_LETTERS) for name in channels]
    axes.set_xticks(indices, names, rotation=90)
    axes.set_yticks(indices, names)
    axes.set_xlabel("attends to")
    axes.set_title("between channels", fontsize=10)
    figure.colorbar(image, ax=axes, label="fraction of attention")
