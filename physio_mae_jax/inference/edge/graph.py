"""The operations of a graph, and a builder of ONNX graphs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.errors import UserError
from physio_mae_jax.inference.edge.extra import optional
from physio_mae_jax.types import Options, Params, Untyped

OPSET = 20  # the first with Gelu
_IR_VERSION = 9  # the oldest that may hold this opset


class Signature(NamedTuple):
    """Inputs and output of a graph.

    Attributes:
        inputs: Name -> type and shape.
        output_shape: Shape of the float32 output.
    """

    inputs: Mapping[str, tuple[type, tuple[int, ...]]]
    output_shape: tuple[int, ...]


class Graph:
    """Operations of ONNX on values, which a subclass writes down or computes.

    A value is the name of an input, a constant or the result of an operation.
    """

    def constant(self, values: object, dtype: type = np.float32) -> str:
        """Add an array."""
        raise NotImplementedError

    def split(
        self, kind: str, num_results: int, *inputs: str, name: str = "", **attributes: Options
    ) -> list[str]:
        """Add an operation of several results; arguments as for ``op``."""
        raise NotImplementedError

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Options) -> str:
        """Add an operation of one result.

        Args:
            kind: ONNX operator.
            *inputs: Values.
            name: Name of the node, by which quantization finds it; '' for a number.
            **attributes: Attributes of the operator.
        """
        return self.split(kind, 1, *inputs, name=name, **attributes)[0]

    def reshape(self, value: str, *shape: int) -> str:
        """Reshape a value."""
        return self.op("Reshape", value, self.constant(shape, np.int64))

    def transpose(self, value: str, *axes: int) -> str:
        """Transpose a value."""
        return self.op("Transpose", value, perm=list(axes))

    def mean(self, value: str, *axes: int) -> str:
        """Average over axes, which are kept."""
        return self.op("ReduceMean", value, self.constant(axes, np.int64))

    def total(self, value: str, *axes: int) -> str:
        """Sum over axes, which are kept."""
        return self.op("ReduceSum", value, self.constant(axes, np.int64))

    def layer_norm(self, value: str, params: Mapping[str, np.ndarray], epsilon: float) -> str:
        """Normalize the last axis with 'scale' and 'bias'."""
        scale, bias = self.constant(params["scale"]), self.constant(params["bias"])
        return self.op("LayerNormalization", value, scale, bias, axis=-1, epsilon=epsilon)

    def linear(self, value: str, params: Params, name: str) -> str:
        """Apply a linear layer, of a full matrix or of low rank ('down', then 'up')."""
        if "down" in params:
            return self.linear(
                self.linear(value, params["down"], f"{name}/down"), params["up"], f"{name}/up"
            )
        product = self.op("MatMul", value, self.constant(params["kernel"]), name=name)
        if "bias" not in params:
            return product
        return self.op("Add", product, self.constant(params["bias"]))


def require_opset() -> None:
    """Raise a UserError if the installed onnx is too old for the operators of the graphs."""
    onnx = optional("onnx")
    found = onnx.defs.onnx_opset_version()
    if found < OPSET:
        raise UserError(
            f"onnx {onnx.__version__} has operators of opset {found}; {OPSET} is needed. Update it "
            'by pip install -U "physio_mae_jax[edge]".'
        )


class OnnxGraph(Graph):
    """Nodes and constants of an ONNX graph, in the order of their computation."""

    def __init__(self) -> None:
        """Begin an empty graph."""
        self._onnx = optional("onnx")
        self._nodes: list[Untyped] = []
        self._constants: list[Untyped] = []
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def constant(self, values: object, dtype: type = np.float32) -> str:
        """Add an array; equal arrays are stored once."""
        array: np.ndarray = np.array(values, dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            name = f"constant_{len(self._names)}"
            self._constants.append(self._onnx.numpy_helper.from_array(array, name))
            self._names[key] = name
        return self._names[key]

    def split(
        self, kind: str, num_results: int, *inputs: str, name: str = "", **attributes: Options
    ) -> list[str]:
        """Add a node of several results, see ``Graph.op``."""
        name = name or f"{kind}_{len(self._nodes)}"
        results = [f"{name}:{number}" for number in range(num_results)]
        make = self._onnx.helper.make_node
        self._nodes.append(make(kind, list(inputs), results, name=name, **attributes))
        return results

    def model(self, output: str, signature: Signature) -> bytes:
        """Finish the graph, with a value as its output: the serialized and checked model."""
        helper = self._onnx.helper

        def described(name: str, dtype: type, shape: Sequence[int]) -> Untyped:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            return helper.make_tensor_value_info(name, kind, list(shape))

        self._nodes.append(helper.make_node("Identity", [output], ["output"], name="output"))
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [described(name, *of) for name, of in signature.inputs.items()],
            [described("output", np.float32, signature.output_shape)],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        self._onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()
