"""Plots of embeddings as points in a plane."""

import numpy as np
from matplotlib.figure import Figure

from physio_mae_jax.plots.names import format_name

_SIZE = 9
_MAX_NAMES = 20
_MAX_LETTERS = 60


def draw_points(
    points: np.ndarray, groups: np.ndarray, axes_names: tuple[str, str], title: str
) -> Figure:
    """Draw points [N, 2], colored by group: one color per name, a color scale for numbers."""
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    axes = figure.add_subplot()
    names = np.unique(groups)
    if groups.dtype.kind in "fiu" and len(names) > _MAX_NAMES:
        drawn = axes.scatter(
            points[:, 0], points[:, 1], c=groups, s=_SIZE, cmap="viridis", alpha=0.8
        )
        figure.colorbar(drawn, ax=axes)
    else:
        # The rarest group is drawn last, so that others do not cover it.
        count = {name: int((groups == name).sum()) for name in names}
        ordered = sorted(names, key=lambda name: -count[name])
        drawn_groups = []
        for name in ordered:
            chosen = points[groups == name]
            drawn_groups.append(axes.scatter(chosen[:, 0], chosen[:, 1], s=_SIZE, alpha=0.7))
        # Passed to the legend as texts, since Matplotlib skips artists labelled '_…'.
        labels = [f"{format_name(name, longest=_MAX_LETTERS)} ({count[name]})" for name in ordered]
        axes.legend(drawn_groups, labels, fontsize=8, markerscale=2, framealpha=0.9)
    axes.set_xlabel(axes_names[0])
    axes.set_ylabel(axes_names[1])
    axes.set_title(format_name(title))
    return figure
