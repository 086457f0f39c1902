"""Plots of learning curves and of the scalogram loss weights."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from physio_mae_jax.plots.names import format_name

_WORDS = {
    "macro_auroc": "macro AUROC",
    "macro_f1": "macro F1 by sample",
    "minus_mae": "minus mean absolute error (SD)",
}


def draw_learning_curves(records: Sequence[Mapping[str, float | str]]) -> Figure:
    """Draw training losses and errors on masked columns from the records of metrics.jsonl."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    losses, waveform, scalogram = figure.subplots(1, 3)
    training = [r for r in records if r["phase"] == "train"]
    for name in ("loss", "scalogram_loss", "waveform_loss"):
        losses.plot([r["step"] for r in training], [r[name] for r in training], label=name)
    losses.set_title("training loss")
    evaluated = [r for r in records if r["phase"] != "train"]
    name = "held-out" if all(r["phase"] == "validation" for r in evaluated) else "trained-on"
    for axes, domain in ((waveform, "waveform"), (scalogram, "scalogram")):
        for predictor, style in (("model", "o-"), ("mean", "--"), ("line", ":")):
            label = {
                "model": "model",
                "mean": "mean of the visible columns",
                "line": "straight line",
            }[predictor]
            steps = [r["step"] for r in evaluated]
            axes.plot(steps, [r[f"{domain}/{predictor}"] for r in evaluated], style, label=label)
        axes.set_title(f"{name} {domain} error, masked columns")
    for axes in (losses, waveform, scalogram):
        axes.set_xlabel("step")
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    return figure


def draw_scale_weights(frequencies_hz: np.ndarray, weights: np.ndarray) -> Figure:
    """Draw the weight of each scalogram row in the loss against its frequency."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(frequencies_hz, weights, "o-", markersize=3)
    axes.axhline(1.0, color="0.6", linewidth=0.8)
    axes.set_xlabel("center frequency of the scale (Hz)")
    axes.set_ylabel("weight in the loss (mean 1)")
    axes.set_title("Scale weights of the scalogram loss")
    axes.grid(alpha=0.3, which="both")
    return figure


def draw_supervised_curves(
    records: Sequence[Mapping[str, float | str]], metric_name: str
) -> Figure:
    """Draw the training loss and a validation metric from the records of metrics.jsonl."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    losses, metric = figure.subplots(1, 2)
    training = [r for r in records if r["phase"] == "train"]
    losses.plot([r["step"] for r in training], [r["loss"] for r in training])
    losses.set_title("training loss")
    evaluated = [r for r in records if r["phase"] == "validation"]
    metric.plot([r["step"] for r in evaluated], [r[metric_name] for r in evaluated], "o-")
    metric.set_title(f"validation: {_WORDS.get(metric_name, format_name(metric_name))}")
    for axes in (losses, metric):
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return figure
