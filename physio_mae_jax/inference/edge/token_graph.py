"""From a window to tokens, as nodes of a graph; see ``models.tokenizer``.

The wavelets are convolutions: ONNX has no portable Fourier transform of real signals.
"""

import numpy as np

from physio_mae_jax.inference.edge.graph import Graph
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layers import NORM_EPSILON
from physio_mae_jax.signals.wavelet_bank import wavelet_bank
from physio_mae_jax.types import Params

# The signal, and its first and second difference, from three neighboring samples.
_DIFFERENCES = np.asarray([[0, 1, 0], [-1, 1, 0], [1, -2, 1]], np.float32)[:, None]


def add_tokens(
    graph: Graph, signal: str, ids: str, config: MaeConfig, params: Params, channels: int
) -> str:
    """Add the tokenizer.

    Args:
        graph: Graph to extend.
        signal: Window [M, 1, L], zeros for absent channels.
        ids: Channel ids [M], int64.
        config: Configuration of the encoder.
        params: Parameters of the tokenizer.
        channels: Number of channels M.

    Returns:
        Tokens [M, W, H, D].
    """
    tokens = _project(graph, "wavelet", _patches(graph, signal, config, channels), params)
    if config.waveform_branch:
        samples = _normalized(graph, signal, (2,), config.num_samples, 1e-5)
        shape = (channels, config.num_columns, 1, config.patch_samples)
        columns = graph.reshape(samples, *shape)
        tokens = graph.op("Add", tokens, _project(graph, "waveform", columns, params))
    tokens = graph.op("Add", tokens, graph.constant(params["position"]))
    if config.channel_embedding:
        limit, unknown = (graph.constant(n, np.int64) for n in (config.num_channel_names, 0))
        known = graph.op("Where", graph.op("Less", ids, limit), ids, unknown)
        table = graph.constant(params["channel"]["embedding"])
        name = graph.reshape(graph.op("Gather", table, known), channels, 1, 1, config.width)
        tokens = graph.op("Add", tokens, name)
    return tokens


def _project(graph: Graph, name: str, values: str, params: Params) -> str:
    projected = graph.linear(values, params[f"{name}_projection"], f"{name}_projection")
    return graph.layer_norm(projected, params[f"{name}_norm"], NORM_EPSILON)


def _patches(graph: Graph, signal: str, config: MaeConfig, channels: int) -> str:
    """Add the scalogram and cut it: [M, 1, L] -> [M, W, H, C · pf · pt]."""
    planes, scales = config.wavelet.num_planes, config.wavelet.num_scales
    if config.wavelet.difference_planes:
        ends = graph.constant([0, 0, 1, 0, 0, 1], np.int64)
        padded = graph.op("Pad", signal, ends, mode="edge")
        signal = graph.op("Conv", padded, graph.constant(_DIFFERENCES), name="differences")
    rows = graph.reshape(signal, channels * planes, 1, config.num_samples)
    rows = _normalized(
        graph, _correlated(graph, rows, config), (1, 2), scales * config.num_samples, 1e-5
    )
    limits = graph.constant(-100.0), graph.constant(100.0)
    rows = graph.op("Clip", rows, *limits)
    shape = (planes, config.num_rows, config.patch_scales, config.num_columns, config.patch_samples)
    boxes = graph.transpose(graph.reshape(rows, channels, *shape), 0, 4, 2, 1, 3, 5)
    return graph.reshape(boxes, channels, config.num_columns, config.num_rows, config.patch_size)


def _correlated(graph: Graph, rows: str, config: MaeConfig) -> str:
    """Correlate rows [R, 1, L] with the wavelets: [R, S, L]."""
    bank = wavelet_bank(config.wavelet, config.sampling_rate_hz, config.num_samples)
    ends = graph.constant([0, 0, bank.padding, 0, 0, bank.padding], np.int64)
    padded = graph.op("Pad", rows, ends, mode=bank.edge)
    found = graph.op("Conv", padded, graph.constant(bank.kernels[:, None]), name="wavelets")
    if bank.kernels.shape[1] % 2:
        return found
    # An even kernel gives one sample too many.
    first, last, axis = (graph.constant([n], np.int64) for n in (0, config.num_samples, 2))
    return graph.op("Slice", found, first, last, axis)


def _normalized(graph: Graph, values: str, axes: tuple[int, ...], count: int, floor: float) -> str:
    """Subtract the mean over axes and divide by the unbiased standard deviation from a floor."""
    centered = graph.op("Sub", values, graph.mean(values, *axes))
    squares = graph.total(graph.op("Mul", centered, centered), *axes)
    variance = graph.op("Mul", squares, graph.constant(1 / (count - 1)))
    std = graph.op("Max", graph.op("Sqrt", variance), graph.constant(floor))
    return graph.op("Div", centered, std)
