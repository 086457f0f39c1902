"""The head of a classifier as nodes of a graph; see ``models.heads``."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from physio_mae_jax.inference.edge.graph import Graph
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.models.heads.window_heads import event_weights
from physio_mae_jax.models.layers import NORM_EPSILON
from physio_mae_jax.types import Params


class _Latents(NamedTuple):
    """Latents of a window, and what a head knows of them.

    Attributes:
        graph: Graph to extend.
        value: Latents [M, W, H, D], undefined for absent channels.
        present: Channel mask [M, 1, 1, 1] bool.
        config: Configuration of the encoder.
        settings: Settings of the head.
        params: Parameters of the head.
        channels: Number of channels M.
    """

    graph: Graph
    value: str
    present: str
    config: MaeConfig
    settings: HeadConfig
    params: Params
    channels: int

    def mean(self, value: str, weights: np.ndarray | None = None) -> str:
        """Average [M, W, H, D] over present channels, rows and columns, weighted: [1, D]."""
        graph, columns = self.graph, self.config.num_columns
        values = graph.op("Where", self.present, value, graph.constant(0.0))
        column = np.ones(columns) if weights is None else weights
        values = graph.op("Mul", values, graph.constant(column.reshape(1, columns, 1, 1)))
        summed = graph.reshape(graph.total(graph.mean(values, 2), 0, 1), 1, self.config.width)
        known = graph.reshape(graph.op("Cast", "channel_mask", to=1), 1, self.channels)
        count = graph.op("Max", graph.total(known, 1), graph.constant(1.0))
        return graph.op("Div", summed, graph.op("Mul", count, graph.constant(column.sum())))

    def normed(self, value: str, name: str) -> str:
        """Normalize the last axis."""
        return self.graph.layer_norm(value, self.params[name], NORM_EPSILON)


def _linear(of: _Latents) -> str:
    return of.normed(of.mean(of.value), "norm")


def _statistics(of: _Latents) -> str:
    graph = of.graph
    mean = of.mean(of.value)
    centered = graph.op("Sub", of.value, graph.reshape(mean, 1, 1, 1, of.config.width))
    variance = of.mean(graph.op("Mul", centered, centered))
    std = graph.op("Sqrt", graph.op("Add", variance, graph.constant(1e-6)))
    return graph.op("Concat", of.normed(mean, "mean_norm"), of.normed(std, "std_norm"), axis=-1)


def _event(of: _Latents) -> str:
    weights = event_weights(of.config, of.settings.event_offset, of.config.num_columns)
    means = [of.mean(of.value, one) for one in (*weights, None)]
    normed = [of.normed(mean, f"norm_{number}") for number, mean in enumerate(means)]
    return of.graph.op("Concat", *normed, axis=-1)


def _residual_mlp(of: _Latents) -> str:
    graph = of.graph

    def linear(value: str, name: str) -> str:
        return graph.linear(value, of.params[name], f"head/{name}")

    hidden = graph.op("Gelu", linear(_linear(of), "project"))
    for number in range(of.settings.num_blocks):
        inner = of.normed(hidden, f"block_{number}_norm")
        inner = graph.op("Gelu", linear(inner, f"block_{number}_first"))
        hidden = graph.op("Add", hidden, linear(inner, f"block_{number}_second"))
    return of.normed(hidden, "output_norm")


def _attention(of: _Latents) -> str:
    graph, config, pool = of.graph, of.config, of.params["pool"]
    total = of.channels * config.num_tokens
    present = graph.op("Where", of.present, of.value, graph.constant(0.0))
    tokens = graph.layer_norm(
        graph.reshape(present, total, config.width), pool["norm"], NORM_EPSILON
    )
    scores = graph.linear(tokens, pool["query"], "head/query")  # [T, h]
    one, never = graph.constant(np.ones((1, config.num_tokens))), graph.constant(-1e9)
    known = graph.op("Cast", graph.reshape("channel_mask", of.channels, 1), to=1)
    absent = graph.op("Sub", graph.constant(1.0), graph.op("Mul", known, one))
    masked = graph.op("Mul", graph.reshape(absent, total, 1), never)
    weights = graph.op("Softmax", graph.op("Add", scores, masked), axis=0)
    heads = graph.transpose(graph.reshape(tokens, total, config.num_heads, -1), 1, 0, 2)
    rows = graph.reshape(graph.transpose(weights, 1, 0), config.num_heads, 1, total)
    pooled = graph.reshape(graph.op("MatMul", rows, heads), 1, config.width)
    return of.normed(pooled, "norm")


# The heads of ``models.heads.HEADS`` that have a graph.
GRAPH_HEADS: dict[str, Callable[[_Latents], str]] = {
    "linear": _linear,
    "attention": _attention,
    "residual_mlp": _residual_mlp,
    "statistics": _statistics,
    "event": _event,
}


def add_head(
    graph: Graph,
    latents: str,
    config: MaeConfig,
    settings: HeadConfig,
    params: Params,
    channels: int,
) -> str:
    """Add a head and the layer of the logits.

    Args:
        graph: Graph to extend.
        latents: Value [M, W, H, D].
        config: Configuration of the encoder.
        settings: Settings of a head of ``GRAPH_HEADS``.
        params: Parameters of ``models.heads.classifier.Classifier``.
        channels: Number of channels M.

    Returns:
        Logits [1, Y].
    """
    present = graph.reshape("channel_mask", channels, 1, 1, 1)
    of = _Latents(graph, latents, present, config, settings, params["head"], channels)
    features = GRAPH_HEADS[settings.kind](of)
    if not settings.arcface:
        return graph.linear(features, params["output"], "head/output")
    squares = graph.total(graph.op("Mul", features, features), 1)
    length = graph.op("Max", graph.op("Sqrt", squares), graph.constant(1e-12))
    classes = np.asarray(params["arcface"]["classes"])
    units = classes / np.maximum(np.linalg.norm(classes, axis=0, keepdims=True), 1e-12)
    directions = {"kernel": settings.arcface_scale * units}
    return graph.linear(graph.op("Div", features, length), directions, "head/classes")
