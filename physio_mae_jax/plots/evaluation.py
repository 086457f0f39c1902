"""Plots of an evaluation: ROC and PR curves, confusion, calibration, agreement."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from physio_mae_jax.plots.names import format_name

# Color-blind safe palette (Okabe and Ito 2008), without yellow, which is too pale for a line.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5c00", "#999999")
MAX_CURVES = len(_COLORS)
_BEFORE, _AFTER = "#999999", "#d1495b"
_POINTS, _LINE = "#0072b2", "0.25"
_MAX_NUMBERS = 20
_SHORT_NAME = 11
_MANY_POINTS = 3_000
# Maximum characters per line of a panel title.
_WIDTH = 30
# Maximum characters per line of a figure title, and in total.
_TITLE = (120, 300)
# Character width in inches per point of font size.
_LETTER = 0.0085


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve of points with increasing x.

    Attributes:
        label: Label in the legend.
        x, y: [n] coordinates.
    """

    label: str
    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reliability:
    """Probability bins of one class, excluding those with too few instances.

    Attributes:
        predicted: [n] mean probability of each bin.
        observed: [n] fraction of positives.
        low, high: [n] confidence interval of ``observed``.
        counts: [n] number of instances.
        error: Expected calibration error.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    error: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of predictions and truth of one quantity.

    Attributes:
        name: Name with its unit.
        true, predicted: [U] values of the instances.
        note: Metrics shown in the panel title.
        bias, low, high: Mean error and limits of agreement.
    """

    name: str
    true: np.ndarray
    predicted: np.ndarray
    note: str
    bias: float
    low: float
    high: float


def draw_roc(curves: Sequence[Curve], macro: Curve | None, title: str) -> Figure:
    """Draw ROC curves of at most 8 classes and their macro average."""
    figure, axes = _square(title)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    _draw_curves(axes, curves, macro, "area under the curve")
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    return figure


def draw_precision_recall(curves: Sequence[Curve], macro: Curve | None, title: str) -> Figure:
    """Draw precision-recall curves of at most 8 classes and their macro average."""
    figure, axes = _square(title)
    _draw_curves(axes, curves, macro, "average precision")
    axes.set_xlabel("sensitivity (recall)")
    axes.set_ylabel("precision")
    return figure


def draw_confusion(
    fractions: np.ndarray,
    counts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: tuple[str, str],
    title: str,
    parts: Sequence[int] = (),
) -> Figure:
    """Draw a confusion matrix, each cell with its fraction and, if it fits, its count.

    Args:
        shares: [n, m] fractions from 0 to 1, drawn as color; NaN is left blank.
        counts: [n, m] number of instances.
        rows, columns: Names of the rows and columns.
        labels: Axis labels of the rows and of the columns.
        title: Figure title.
        parts: Columns at which a new group of fractions that sum to 1 begins.
    """
    few = [len(names) <= _MAX_NUMBERS for names in (rows, columns)]
    numbered = all(few)
    sizes = [9 if small else 6 for small in few]
    rows, columns = (
        [format_name(name, 30 if numbered else 60) for name in names] for names in (rows, columns)
    )
    longest = [max(map(len, "\n".join(names).split("\n"))) for names in (rows, columns)]
    turn = 0 if few[1] and longest[1] <= _SHORT_NAME else 90
    # The size of the table does not depend on the length of the names.
    width = 1.7 + _LETTER * sizes[0] * longest[0] + (0.95 if few[1] else 0.2) * len(columns)
    height = 1.4 + (0.62 if few[0] else 0.2 if few[1] else 0.16) * len(rows)
    height += _LETTER * sizes[1] * longest[1] if turn else 0.3
    figure = Figure(figsize=(max(5.2, width), height), layout="constrained")
    figure.suptitle(format_name(title, *_TITLE), fontsize=10)
    axes = figure.subplots()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, j), fraction in np.ndenumerate(fractions) if numbered else ():
        text = f"{fraction:.0%}\n{counts[i, j]:,}" if np.isfinite(fraction) else "–"
        color = "white" if fraction > 0.6 else "0.15"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
    axes.set_xticks(range(len(columns)), columns, rotation=turn, fontsize=sizes[1])
    axes.set_yticks(range(len(rows)), rows, fontsize=sizes[0])
    for column in parts:
        axes.axvline(column - 0.5, color="white", linewidth=6)
    axes.set_ylabel(labels[0])
    axes.set_xlabel(labels[1])
    figure.colorbar(image, ax=axes, label="fraction of the truth", aspect=30)
    return figure


def draw_reliability(panels: Sequence[tuple[str, Reliability, Reliability]], title: str) -> Figure:
    """Draw reliability diagrams, before and after calibration.

    Args:
        panels: (name, before, after) of at most 8 classes.
        title: Figure title.
    """
    figure, grid = _panels(len(panels), title, 3.1, 3.6)
    for axes, (name, before, after) in zip(grid, panels, strict=False):
        _draw_bins(axes, before, after)
        axes.set_title(
            f"{format_name(name, _WIDTH)}\nECE {before.error:.3f} → {after.error:.3f}", fontsize=9
        )
        axes.set_ylabel("fraction of positives")
        axes.set_xlabel("probability")
    lines, names = grid[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def draw_scatter(quantities: Sequence[Agreement], title: str) -> Figure:
    """Draw predictions against the truth, with the line of equality."""
    figure, grid = _panels(len(quantities), title)
    for axes, quantity in zip(grid, quantities, strict=False):
        _draw_points(axes, quantity.true, quantity.predicted)
        both = np.concatenate([quantity.true, quantity.predicted])
        low, high = both.min(), both.max()
        margin = 0.03 * (high - low or 1.0)
        axes.plot([low, high], [low, high], color=_LINE, linewidth=0.9)
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(low - margin, high + margin)
        axes.set_aspect("equal")
        axes.set_title(f"{format_name(quantity.name, _WIDTH)}\n{quantity.note}", fontsize=9)
        axes.set_xlabel("truth")
        axes.set_ylabel("prediction")
    return figure


def draw_bland_altman(quantities: Sequence[Agreement], title: str) -> Figure:
    """Draw errors against the mean of prediction and truth (Bland and Altman 1986)."""
    figure, grid = _panels(len(quantities), title)
    for axes, quantity in zip(grid, quantities, strict=False):
        error = quantity.predicted - quantity.true
        _draw_points(axes, (quantity.predicted + quantity.true) / 2, error)
        axes.axhline(0, color="0.7", linewidth=0.8)
        for value, style in ((quantity.bias, "-"), (quantity.low, "--"), (quantity.high, "--")):
            if np.isfinite(value):
                axes.axhline(value, color=_AFTER, linewidth=1.1, linestyle=style)
        axes.set_title(
            f"{format_name(quantity.name, _WIDTH)}\nbias {quantity.bias:.3g}, limits "
            f"{quantity.low:.3g} to {quantity.high:.3g}",
            fontsize=9,
        )
        axes.set_xlabel("mean of prediction and truth")
        axes.set_ylabel("prediction - truth")
    return figure


def _square(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.8, 5.0), layout="constrained")
    axes = figure.subplots()
    axes.set_anchor("W")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_box_aspect(1)
    axes.set_title(format_name(title, *_TITLE), fontsize=10, loc="left")
    axes.grid(alpha=0.3)
    return figure, axes


def _draw_curves(axes: Axes, curves: Sequence[Curve], macro: Curve | None, what: str) -> None:
    lines = [
        axes.plot(curve.x, curve.y, color=color, linewidth=1.2)[0]
        for curve, color in zip(curves, _COLORS, strict=False)
    ]
    if macro is not None:
        lines += axes.plot(macro.x, macro.y, color="black", linewidth=2.2)
    # Passed to the legend as texts, since Matplotlib skips artists labeled '_…'.
    axes.legend(
        lines,
        [format_name(curve.label, 40) for curve in (*curves, *([] if macro is None else [macro]))],
        title=what,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        fontsize=8,
        title_fontsize=8,
        alignment="left",
        frameon=False,
    )


def _draw_bins(axes: Axes, before: Reliability, after: Reliability) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    plot = functools.partial(axes.plot, markersize=4, linewidth=1.2)
    plot(before.predicted, before.observed, "o-", color=_BEFORE, label="uncalibrated")
    spread = np.maximum([after.observed - after.low, after.high - after.observed], 0)
    axes.errorbar(after.predicted, after.observed, spread, color=_AFTER, elinewidth=0.8, fmt="none")
    plot(after.predicted, after.observed, "o-", color=_AFTER, label="calibrated")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.25, 1.02)
    axes.set_yticks(np.arange(0, 1.01, 0.25))
    # Below zero: number of instances per bin, scaled to the fullest bin.
    heights = 0.2 * np.sqrt(after.counts / max(1, after.counts.max(initial=1)))
    axes.bar(after.predicted, heights, 0.03, bottom=-0.25, color=_AFTER, alpha=0.45)
    axes.axhline(-0.03, color="0.8", linewidth=0.6)
    axes.grid(alpha=0.25)


def _panels(
    count: int, title: str, width: float = 4.2, height: float = 4.2
) -> tuple[Figure, np.ndarray]:
    across = count if count <= 4 else -(-count // 2)
    down = -(-count // across)
    size = (max(5.0, width * across), height * down + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(format_name(title, *_TITLE), fontsize=10)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid


def _draw_points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw points, faint if there are many, or a density map if they would overlap."""
    axes.grid(alpha=0.3)
    if len(x) > _MANY_POINTS:
        # The color scale starts below one, so that single instances are not white.
        norm = LogNorm(vmin=0.2)
        axes.hexbin(x, y, gridsize=50, cmap="Blues", norm=norm, mincnt=1, linewidths=0.1)
    else:
        axes.plot(x, y, "o", color=_POINTS, markersize=3, alpha=0.35, markeredgewidth=0)
