"""Static quantization of the linear layers of a graph to 8 bits.

Weights are signed and have a scale for each output feature, activations are unsigned with a range
from calibration. The first embedding, norms, softmax, GELU and residual sums stay in float32: with
these in 8 bits the embeddings lose their neighbors.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.inference.edge.block_graph import BLOCK
from physio_mae_jax.inference.edge.extra import optional
from physio_mae_jax.types import Untyped

# Percentile of the magnitudes of an activation that its range covers; the rest is clipped.
_PERCENTILE = 99.99


class _Windows:
    """Windows one at a time, in the form that onnxruntime reads for calibration."""

    def __init__(self, windows: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        self._windows, self._row = {name: windows[name] for name in names}, 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next window, or None."""
        row = self._row
        if row >= len(self._windows["signal"]):
            return None
        self._row += 1
        return {name: values[row : row + 1] for name, values in self._windows.items()}


def quantize(graph: bytes, windows: Mapping[str, np.ndarray]) -> bytes:
    """Quantize the linear layers of the blocks of a graph.

    Args:
        graph: Graph in float32, of ``encoder_graph``.
        windows: Inputs [B, …] for calibration.
    """
    tools: Untyped = optional("onnxruntime.quantization")
    made = optional("onnx").load_from_string(graph).graph
    names = [one.name for one in made.input]
    layers = [node.name for node in made.node if node.op_type == "MatMul" and BLOCK in node.name]
    with tempfile.TemporaryDirectory() as folder, _silently():
        source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(graph)
        tools.quantize_static(
            str(source),
            str(target),
            _Windows(windows, names),
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=layers,
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            calibrate_method=tools.CalibrationMethod.Percentile,
            # The results of the layers are quantized too: in float32 they keep more neighbors
            # (98 % instead of 96 % of physio-tiny), but then 8 bits are slower than float32.
            extra_options={"CalibPercentile": _PERCENTILE},
        )
        return target.read_bytes()


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    """Suppress the lines that onnxruntime prints, and its warnings to the root logger."""
    root = logging.getLogger()
    with contextlib.redirect_stdout(io.StringIO()):
        root.addFilter(_is_error)
        try:
            yield
        finally:
            root.removeFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
