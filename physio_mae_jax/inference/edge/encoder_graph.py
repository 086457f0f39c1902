"""A whole encoder or classifier as an ONNX graph, and the models that have one."""

import jax
import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.edge.block_graph import BLOCK, Sequences, add_block
from physio_mae_jax.inference.edge.contract import EdgeOutput
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.graph import Graph, OnnxGraph, Signature
from physio_mae_jax.inference.edge.head_graph import GRAPH_HEADS, add_head
from physio_mae_jax.inference.edge.token_graph import add_tokens
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layers import NORM_EPSILON
from physio_mae_jax.types import Params

# Added to the scores of keys that are never attended to.
_NEVER = -1e9


def check_supported(model: EdgeModel) -> None:
    """Reject models that have parts without a graph.

    Raises:
        ConfigError: The model has such a part; the message names it.
    """
    config = model.config
    unsupported = {
        f"model.time_mixer={config.time_mixer!r}": config.time_mixer != "attention",
        f"model.convolutional_stem={config.convolutional_stem!r}": (
            config.convolutional_stem != "none"
        ),
        f"model.attention_block_seconds={config.attention_block_seconds:g}": (
            config.num_time_blocks > 1
        ),
    }
    instead = "export() writes a program for JAX instead."
    if model.head:
        instead = f"choose one of {', '.join(GRAPH_HEADS)}."
        unsupported[f"head.kind={model.head.kind!r}"] = model.head.kind not in GRAPH_HEADS
    for setting, is_used in unsupported.items():
        if is_used:
            raise ConfigError(f"a model with {setting} cannot be exported for devices; {instead}")


def signature_of(model: EdgeModel, num_channels: int, output: EdgeOutput) -> Signature:
    """Return the inputs and the output of a graph of one window.

    Args:
        model: Model.
        num_channels: Number of channels M.
        output: One of ``EdgeModel.outputs``.
    """
    config = model.config
    inputs: dict[str, tuple[type, tuple[int, ...]]] = {
        "signal": (np.float32, (1, num_channels, config.num_samples)),
        "channel_mask": (np.bool_, (1, num_channels)),
        "channel_ids": (np.int64, (1, num_channels)),
    }
    if model.head:
        return Signature(inputs, (1, model.head.num_classes))
    if output == "columns":
        return Signature(inputs, (1, config.num_columns, config.width))
    inputs["column_weight"] = (np.float32, (1, config.num_columns))
    return Signature(inputs, (1, config.width))


def add_model(graph: Graph, model: EdgeModel, num_channels: int, output: EdgeOutput) -> str:
    """Add a whole model, in float32; its inputs are those of ``signature_of``.

    Args:
        graph: Empty graph.
        model: Model that ``check_supported`` accepts.
        num_channels: Number of channels M.
        output: One of ``EdgeModel.outputs``.

    Returns:
        The output.
    """
    config = model.config
    params = jax.tree.map(np.asarray, model.params)
    encoder = params["encoder"]
    present = graph.reshape("channel_mask", num_channels, 1, 1)
    signal = graph.reshape("signal", num_channels, 1, config.num_samples)
    signal = graph.op("Where", present, signal, graph.constant(0.0))
    ids = graph.reshape("channel_ids", num_channels)
    tokens = add_tokens(graph, signal, ids, config, encoder["tokenizer"], num_channels)
    mix = _joint if config.encoder_attention == "joint" else _factorized
    latents = mix(graph, tokens, config, encoder, num_channels, model.channel_independent)
    if model.head:
        return add_head(graph, latents, config, model.head, params, num_channels)
    shape = signature_of(model, num_channels, output).output_shape
    return _pooled(graph, latents, output, shape)


def onnx_graph(model: EdgeModel, num_channels: int, output: EdgeOutput) -> bytes:
    """Return a model as an ONNX graph; arguments as for ``add_model``."""
    graph = OnnxGraph()
    value = add_model(graph, model, num_channels, output)
    return graph.model(value, signature_of(model, num_channels, output))


def _stack(graph: Graph, tokens: str, params: Params, of: Sequences) -> str:
    """Add all blocks and the last norm over tokens [S, T, D]."""
    for layer in range(of.config.depth):
        block = jax.tree.map(lambda values, layer=layer: values[layer], params["stack"]["blocks"])
        tokens = add_block(graph, tokens, block, of, f"{BLOCK}{layer}")
    return graph.layer_norm(tokens, params["stack"]["norm"], NORM_EPSILON)


def _factorized(
    graph: Graph, tokens: str, config: MaeConfig, params: Params, channels: int, alone: bool
) -> str:
    """Mix tokens [M, W, H, D] in one sequence per channel, and across channels."""
    shape = (channels, config.num_tokens)
    positions = np.repeat(np.arange(config.num_columns), config.num_rows)
    of = Sequences(config, shape, positions)
    if channels > 1 and config.channel_attention and not alone:
        count = graph.total(_present(graph), 1)
        several = graph.op("Greater", count, graph.constant(1.0))
        of = of._replace(
            channel_mask=graph.reshape(_never(graph), 1, 1, 1, channels),
            exchanges=graph.op("Cast", several, to=1),
        )
    mixed = _stack(graph, graph.reshape(tokens, *shape, config.width), params, of)
    return graph.reshape(mixed, channels, config.num_columns, config.num_rows, config.width)


def _joint(
    graph: Graph, tokens: str, config: MaeConfig, params: Params, channels: int, alone: bool
) -> str:
    """Mix tokens [M, W, H, D] in one sequence of all channels, or in one for each."""
    sequences, joined = (channels, 1) if alone else (1, channels)
    length, front = joined * config.num_tokens, int(config.class_token)
    by_row = graph.transpose(tokens, 0, 2, 1, 3)
    sequence = graph.reshape(by_row, sequences, length, config.width)
    within = np.tile(np.arange(config.num_tokens), joined)
    columns = within % config.num_columns
    positions = within if config.rotary_positions == "token" else columns
    if front:
        positions = np.concatenate([[0], positions + 1])
        first = np.broadcast_to(params["class_token"], (sequences, 1, config.width))
        sequence = graph.op("Concat", graph.constant(first), sequence, axis=1)
    of = Sequences(config, (sequences, front + length), positions)
    if joined > 1:
        spread = graph.constant(np.zeros((channels, config.num_tokens)))
        masked = graph.op("Add", graph.reshape(_never(graph), channels, 1), spread)
        masked = graph.reshape(masked, 1, 1, 1, length)
        if front:
            ahead = graph.constant(np.zeros((1, 1, 1, 1)))
            masked = graph.op("Concat", ahead, masked, axis=-1)
        of = of._replace(key_mask=masked)
    mixed = _stack(graph, sequence, params, of)
    if front:
        bounds = [graph.constant([n], np.int64) for n in (1, 1 + length, 1)]
        mixed = graph.op("Slice", mixed, *bounds)
    shape = (channels, config.num_rows, config.num_columns, config.width)
    return graph.transpose(graph.reshape(mixed, *shape), 0, 2, 1, 3)


def _present(graph: Graph) -> str:
    """Return the channel mask as numbers [1, M]."""
    return graph.op("Cast", "channel_mask", to=1)


def _never(graph: Graph) -> str:
    """Return 0 for present and a large negative number for absent channels [1, M]."""
    absent = graph.op("Sub", graph.constant(1.0), _present(graph))
    return graph.op("Mul", absent, graph.constant(_NEVER))


def _pooled(graph: Graph, latents: str, output: EdgeOutput, shape: tuple[int, ...]) -> str:
    """Average latents [M, W, H, D] over rows, present channels and, for embeddings, columns."""
    rows = graph.mean(latents, 2)
    mask = graph.op("Reshape", "channel_mask", graph.constant([-1, 1, 1, 1], np.int64))
    rows = graph.op("Where", mask, rows, graph.constant(0.0))
    count = graph.op("Max", graph.total(_present(graph), 1), graph.constant(1.0))
    count = graph.reshape(count, 1)
    if output == "embedding":
        weight = graph.op("Reshape", "column_weight", graph.constant([1, -1, 1, 1], np.int64))
        rows = graph.op("Mul", rows, weight)
        count = graph.op("Mul", count, graph.reshape(graph.total("column_weight", 1), 1))
        summed = graph.total(rows, 0, 1)
    else:
        summed = graph.total(rows, 0)
    return graph.op("Div", graph.reshape(summed, *shape), count)
