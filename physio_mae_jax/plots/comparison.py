"""Plots of model performance against the fraction of training labels."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from physio_mae_jax.plots.names import format_name

# Color-blind safe palette (Okabe and Ito 2008).
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5c00", "#999999")
_MARKERS = "osD^vP*X"
# Horizontal spacing, as a factor, of rows at the same fraction.
_OFFSET = 1.035


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """One row of a comparison.

    Attributes:
        label: Label in the legend.
        fractions: [F] fractions of the labels.
        values: F arrays, one value per seed.
    """

    label: str
    fractions: np.ndarray
    values: Sequence[np.ndarray]


def draw_comparison(series: Sequence[Series], metric: str, title: str) -> Figure:
    """Draw a dot for each seed and a line through the means of each row."""
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for k, row in enumerate(series):
        order = np.argsort(row.fractions)
        x = row.fractions[order] * _OFFSET ** (k - (len(series) - 1) / 2)
        values = [row.values[int(i)] for i in order]
        color, marker = _COLORS[k % len(_COLORS)], _MARKERS[k % len(_MARKERS)]
        means = [float(v.mean()) for v in values]
        axes.plot(
            x,
            means,
            color=color,
            marker=marker,
            label=format_name(row.label, longest=40),
            linewidth=1.5,
        )
        for x_position, seed_values in zip(x, values, strict=True):
            axes.plot(
                [x_position] * len(seed_values),
                seed_values,
                ".",
                color=color,
                alpha=0.5,
                markersize=5,
            )
    fractions = np.unique(np.concatenate([row.fractions for row in series]))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(fractions.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda fraction, _: f"{fraction:.0%}"))
    axes.set_xlabel("fraction of the training subjects with labels")
    axes.set_ylabel(metric)
    axes.set_title(format_name(title, 90, 300), loc="left", fontsize=11)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right center", frameon=False, title="mean (line), seeds (dots)")
    return figure
