"""Pictures of a retrieval: recalls beside chance, and how agreement falls as the PPG slides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

_COLOURS = {"trained": "C3", "untrained": "C0"}


def draw_retrieval(results: Mapping[str, Any]) -> Figure:
    """Draw recall@1 of both directions and all pools, and the mean profile of sliding.

    Args:
        results: of ``inference.retrieval.retrieve``.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    recall, slide = figure.subplots(1, 2)
    directions = [name for name in results["trained"] if " to " in name]
    pools = list(results["trained"][directions[0]])
    labels = [f"{direction}\n{pool}" for direction in directions for pool in pools]
    places = np.arange(len(labels))
    for offset, encoder in ((-0.2, "trained"), (0.2, "untrained")):
        values = [results[encoder][d][p]["recall@1"] for d in directions for p in pools]
        recall.bar(places + offset, values, 0.4, color=_COLOURS[encoder], label=encoder)
    chance = [results["trained"][d][p]["chance_recall@1"] for d in directions for p in pools]
    recall.plot(places, chance, "k_", markersize=18, label="chance")
    recall.set_xticks(places, labels, fontsize=8)
    recall.set_ylabel("recall@1")
    recall.legend()
    for encoder, colour in _COLOURS.items():
        delay = results[encoder]["delay"]
        if delay["profiles"]:
            profiles = np.asarray(delay["profiles"])
            slide.plot(delay["shift_seconds"], profiles.mean(axis=0), color=colour, label=encoder)
            slide.plot(delay["shift_seconds"], profiles.T, color=colour, alpha=0.15, lw=0.8)
    slide.set_xlabel("PPG taken later by (s)")
    slide.set_ylabel("cosine with the ECG")
    slide.set_title("agreement as the PPG slides, each held-out recording", fontsize=9)
    return figure
