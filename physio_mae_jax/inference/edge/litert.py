"""Graphs of LiteRT (``.tflite``), converted from JAX without TensorFlow.

The converter may give a graph that computes something else without an error: it was seen to merge
chained transposes of high rank wrongly. So every graph is compared with JAX before it is written.
"""

import jax
import jax.numpy as jnp
import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.edge.contract import EdgeOutput
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.encoder_graph import add_model, signature_of
from physio_mae_jax.inference.edge.extra import LITERT, optional
from physio_mae_jax.inference.edge.jax_graph import JaxGraph
from physio_mae_jax.types import Untyped

CONVERTER = "litert_converter"
_DTYPES = {np.float32: jnp.float32, np.bool_: jnp.bool_, np.int64: jnp.int32}


def litert_graph(model: EdgeModel, num_channels: int, output: EdgeOutput) -> bytes:
    """Return a model as a LiteRT graph; arguments as for ``encoder_graph.add_model``.

    The channel ids are int32, the other inputs are as in ONNX.
    """
    signature = signature_of(model, num_channels, output)
    names = sorted(signature.inputs)

    def compute(*values: jax.Array) -> jax.Array:
        graph = JaxGraph(dict(zip(names, values, strict=True)))
        return graph.value(add_model(graph, model, num_channels, output))

    shapes = [
        jax.ShapeDtypeStruct(shape, _DTYPES[dtype])
        for dtype, shape in (signature.inputs[name] for name in names)
    ]
    exported = jax.export.export(jax.jit(compute), platforms=["cpu"])(*shapes)
    return converted(exported.mlir_module(), names)


def converted(program: str, names: list[str]) -> bytes:
    """Convert a StableHLO program as text to a graph with inputs of these names.

    Raises:
        DataError: The converter has no form for an operation.
    """
    ir: Untyped = optional(f"{CONVERTER}.mlir.ir", LITERT)
    tools: Untyped = optional(f"{CONVERTER}.converter_api_ext", LITERT)
    passes: Untyped = optional(f"{CONVERTER}.mlir.passmanager", LITERT)
    context = ir.Context()
    tools.prepare_mlir_context(context)
    try:
        with context:
            module = ir.Module.parse(program)
            main = next(op for op in module.body.operations if op.name.value == "main")
            tools.set_signature(main.operation, "serving_default", names, ["output"])
            tools.run_convert_to_tfl_passes(
                module, passes.PassManager(), tools.ConvertToTFLConfig()
            )
            return bytes(tools.export_flatbuffer_to_bytes(module.operation))
    except Exception as error:  # the converter raises several types
        raise DataError(
            f"the converter of LiteRT rejects the model ({str(error)[:300]}); export it as .onnx."
        ) from error
