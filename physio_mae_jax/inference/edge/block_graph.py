"""The blocks of an encoder as nodes of a graph; see ``models.block``."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.inference.edge.graph import Graph
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layers import NORM_EPSILON
from physio_mae_jax.models.rotary import rotary_rotation
from physio_mae_jax.types import Params

BLOCK = "block_"  # the names of the linear layers of blocks begin so


class Sequences(NamedTuple):
    """Token sequences of a stack.

    Attributes:
        config: Configuration of the encoder.
        shape: Shape [S, T] of the tokens: S sequences of T tokens.
        positions: Rotary position of each token [T].
        key_mask: Value [1, 1, 1, T] added to the scores of attention; '' for none.
        channel_mask: Value [1, 1, 1, S] added to the scores of attention across sequences; '' if
            they do not attend to each other.
        exchanges: Value [1], 1 if at least two channels are present, else 0; as ``channel_mask``.
    """

    config: MaeConfig
    shape: tuple[int, int]
    positions: np.ndarray
    key_mask: str = ""
    channel_mask: str = ""
    exchanges: str = ""


def add_block(graph: Graph, tokens: str, params: Params, of: Sequences, name: str) -> str:
    """Add one block over tokens [S, T, D].

    Args:
        graph: Graph to extend.
        tokens: Value [S, T, D].
        params: Parameters of the block.
        of: Description of the sequences.
        name: Prefix of the names of its linear layers.
    """
    normed = graph.layer_norm(tokens, params["time_norm"], NORM_EPSILON)
    attention = params["time_attention"]
    query, key, value = _heads(graph, normed, attention, of, f"{name}/time")
    query = _rotated(graph, query, of, scale=_scale(of.config))
    key = _rotated(graph, key, of)
    swap = (0, 2, 1, 3)  # [S, T, h, d] and [S, h, T, d]
    query, key, value = (graph.transpose(one, *swap) for one in (query, key, value))
    mixed = _attended(graph, query, key, value, of.key_mask)
    mixed = graph.reshape(graph.transpose(mixed, *swap), *of.shape, of.config.width)
    branch = graph.linear(mixed, attention["output"], f"{name}/time/output")
    tokens = graph.op("Add", tokens, branch)
    if of.channel_mask:
        branch = _across_channels(graph, tokens, params, of, f"{name}/channel")
        tokens = graph.op("Add", tokens, branch)
    normed = graph.layer_norm(tokens, params["mlp_norm"], NORM_EPSILON)
    inner = graph.linear(normed, params["mlp"]["expand"], f"{name}/expand")
    branch = graph.linear(graph.op("Gelu", inner), params["mlp"]["contract"], f"{name}/contract")
    return graph.op("Add", tokens, branch)


def _scale(config: MaeConfig) -> float:
    return (config.width // config.num_heads) ** -0.5


def _heads(graph: Graph, tokens: str, params: Params, of: Sequences, name: str) -> list[str]:
    """Project tokens [S, T, D] to queries, keys and values [S, T, h, d]."""
    projected = graph.linear(tokens, params["qkv"], f"{name}/qkv")
    parts = graph.split("Split", 3, projected, axis=-1, num_outputs=3)
    return [graph.reshape(part, *of.shape, of.config.num_heads, -1) for part in parts]


def _rotated(graph: Graph, heads: str, of: Sequences, scale: float = 1.0) -> str:
    """Rotate [S, T, h, d] by its positions, and scale it."""
    with jax.ensure_compile_time_eval():  # also where JAX traces the graph
        rotation = rotary_rotation(
            jnp.asarray(of.positions)[None], of.config.width // of.config.num_heads
        )
    cos, sin = (graph.constant(scale * np.asarray(one)[:, :, None]) for one in rotation)
    first, second = graph.split("Split", 2, heads, axis=-1, num_outputs=2)
    turned = (
        graph.op("Sub", graph.op("Mul", first, cos), graph.op("Mul", second, sin)),
        graph.op("Add", graph.op("Mul", second, cos), graph.op("Mul", first, sin)),
    )
    return graph.op("Concat", *turned, axis=-1)


def _attended(graph: Graph, query: str, key: str, value: str, mask: str) -> str:
    """Attend from [N, h, Q, d], already scaled, to keys [N, h, K, d]."""
    scores = graph.op("MatMul", query, graph.transpose(key, 0, 1, 3, 2))
    if mask:
        scores = graph.op("Add", scores, mask)
    return graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value)


def _across_channels(graph: Graph, tokens: str, params: Params, of: Sequences, name: str) -> str:
    """Return the branch of attention across the S sequences at each of T positions."""
    smoothed = _smoothed(graph, tokens, params, of) if of.config.channel_smoothing else tokens
    normed = graph.layer_norm(smoothed, params["channel_norm"], NORM_EPSILON)
    attention = params["channel_attention"]
    query, key, value = (
        graph.transpose(one, 1, 2, 0, 3)  # [T, h, S, d]
        for one in _heads(graph, normed, attention, of, name)
    )
    query = graph.op("Mul", query, graph.constant(_scale(of.config)))
    mixed = graph.transpose(_attended(graph, query, key, value, of.channel_mask), 2, 0, 1, 3)
    mixed = graph.reshape(mixed, *of.shape, of.config.width)
    branch = graph.linear(mixed, attention["output"], f"{name}/output")
    return graph.op("Mul", branch, of.exchanges)


def _smoothed(graph: Graph, tokens: str, params: Params, of: Sequences) -> str:
    """Smooth each row of [S, W · H, D] along its columns."""
    cfg, taps = of.config, params["smoothing"]
    rows = cfg.num_rows
    ends = graph.constant([0, rows, 0, 0, rows, 0], np.int64)
    padded = graph.op("Pad", tokens, ends, mode="constant")
    axis = graph.constant([1], np.int64)
    total = graph.constant(taps["bias"])
    for number, kernel in enumerate(np.asarray(taps["kernel"])):
        first = number * rows
        bounds = [graph.constant([n], np.int64) for n in (first, first + of.shape[1])]
        shifted = graph.op("Slice", padded, *bounds, axis)
        total = graph.op("Add", total, graph.op("Mul", shifted, graph.constant(kernel)))
    return total
