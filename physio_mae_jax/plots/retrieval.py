"""Plots of a retrieval: recall with its chance level, and delays predicted by a probe."""

import numpy as np
from matplotlib.figure import Figure

from physio_mae_jax.plots.names import format_name
from physio_mae_jax.types import JsonMapping

_COLORS = {"pretrained": "C3", "random": "C0", "peaks": "C2"}


def draw_retrieval(results: JsonMapping) -> Figure:
    """Draw recall@1 of both directions and all pools, and predicted against true delays.

    Args:
        results: Results of ``evaluation.retrieval.retrieve``.
    """
    encoders = [encoder for encoder in _COLORS if encoder in results]
    delays = {e: results[e]["delay"] for e in encoders if "delay" in results[e]}
    figure = Figure(figsize=(11 if delays else 6.5, 4), layout="constrained")
    axes = figure.subplots(1, 2 if delays else 1, squeeze=False)[0]
    recall = axes[0]
    directions = [name for name in results["pretrained"] if " to " in name]
    pools = list(results["pretrained"][directions[0]])
    labels = [f"{format_name(direction, 30)}\n{pool}" for direction in directions for pool in pools]
    indices = np.arange(len(labels))
    width = 0.8 / len(encoders)
    for position, encoder in enumerate(encoders):
        values = [results[encoder][d][p]["recall@1"] for d in directions for p in pools]
        offset = (position - (len(encoders) - 1) / 2) * width
        recall.bar(indices + offset, values, width, color=_COLORS[encoder], label=encoder)
    chance = [results["pretrained"][d][p]["chance_recall@1"] for d in directions for p in pools]
    recall.plot(indices, chance, "k_", markersize=18, label="chance")
    recall.set_xticks(indices, labels, fontsize=8)
    recall.set_ylabel("recall@1")
    recall.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=8)
    for encoder, delay in delays.items():
        axes[1].plot(
            delay["true_seconds"],
            delay["predicted_seconds"],
            "o",
            color=_COLORS[encoder],
            label=f"{encoder}, r = {delay['correlation']:.2f}",
        )
    if delays:
        axes[1].axline((0.2, 0.2), slope=1, color="gray", lw=0.8)
        axes[1].set_xlabel("pulse transit time, truth (s)")
        axes[1].set_ylabel("linear probe of the frozen encoder (s)")
        axes[1].legend()
    return figure
