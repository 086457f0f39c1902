"""The JSON file beside a graph: its call, its preprocessing and its card."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from physio_mae_jax.data.input_spec import InputSpec
from physio_mae_jax.data.json_types import Between, check_types
from physio_mae_jax.data.regular_file import read_regular
from physio_mae_jax.data.sealed_json import add_seal, read_sealed
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.class_decision import ClassDecision
from physio_mae_jax.types import JsonObject

EdgePrecision = Literal["float32", "int8"]
EdgeOutput = Literal["embedding", "columns", "logits"]
EdgeRuntime = Literal["onnx", "litert"]
LOGITS: EdgeOutput = "logits"
# Ending of a path -> library that computes the graph.
RUNTIMES: dict[str, EdgeRuntime] = {".onnx": "onnx", ".tflite": "litert"}
_HINT = "copy both files of one export again, or export the model again."
_FORMAT = "edge model"
_MAX_BYTES = 1 << 31  # the limit of a protocol buffer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of outputs with those of JAX in float32.

    Attributes:
        num_windows: Number of windows compared.
        relative_error: Largest difference, as a share of the largest output.
        mean_cosine, min_cosine: Cosine of outputs after the mean of those of JAX is subtracted.
        same_neighbor: Share of windows whose nearest other window, by cosine, is the same.
        probability_error: Mean difference of the probabilities of a classifier; None for an
            encoder.
        same_decision: Share of windows with the same decisions of a classifier; None for an
            encoder.
        auroc, reference_auroc: Macro AUROC of the labels of the windows, of the graph and of JAX;
            None without labels.
    """

    num_windows: int
    relative_error: float
    mean_cosine: float
    min_cosine: float
    same_neighbor: float
    probability_error: float | None = None
    same_decision: float | None = None
    auroc: float | None = None
    reference_auroc: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency:
    """Wall time of one window: median, and 10th and 90th percentile."""

    median_ms: float
    p10_ms: float
    p90_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantization:
    """Calibration of a quantized graph.

    Attributes:
        num_windows: Number of windows it was calibrated with.
        sha256: Hash of these windows.
        agreement: Agreement of the quantized graph on held-back windows.
    """

    num_windows: int
    sha256: str
    agreement: Agreement


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeCard:
    """What was measured when a graph was exported.

    Attributes:
        num_bytes: Size of the graph.
        float32_bytes: Size of the same graph in float32.
        float32_agreement: Agreement of the graph in float32, on synthetic windows.
        quantization: Calibration and agreement in int8; None in float32.
        latency: 'jax' (all processor cores), 'float32' and 'int8' (one core each).
        machine: Processor that computed it.
        versions: Library -> version.
    """

    num_bytes: int
    float32_bytes: int
    float32_agreement: Agreement
    quantization: Quantization | None
    latency: Mapping[str, Latency]
    machine: str
    versions: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contract:
    """Description of a graph, sufficient to use it without the model.

    Attributes:
        format: 'edge model'.
        precision: Type of the products of its blocks, 'float32' or 'int8'.
        output: 'embedding', 'columns' or, of a classifier, 'logits'.
        num_channels: Number of channels M of a window; fewer are padded with absent ones.
        width, num_columns, column_samples: Size of an embedding, columns of a window, and samples
            of a column.
        runtime: Library that computes it, 'onnx' (onnxruntime) or 'litert'.
        opset: Version of the ONNX operators; 0 for LiteRT.
        input_spec: Preprocessing of a window.
        model: Hash of the weights of the model.
        graph_sha256: Hash of the graph file.
        card: What was measured when it was exported.
        decision: Classes, probabilities and decisions from the logits of a classifier; None for an
            encoder.
    """

    format: Literal["edge model"] = "edge model"
    precision: EdgePrecision
    output: EdgeOutput
    num_channels: Annotated[int, Between(1)]
    width: Annotated[int, Between(1)]
    num_columns: Annotated[int, Between(1)]
    column_samples: Annotated[int, Between(1)]
    opset: int
    input_spec: InputSpec
    model: str
    graph_sha256: str
    card: EdgeCard
    decision: ClassDecision | None = None
    runtime: EdgeRuntime = "onnx"

    def __post_init__(self) -> None:
        if (self.output == LOGITS) != (self.decision is not None):
            raise DataError(f"output is {self.output!r}, which does not fit its decision")
        if self.decision and (problem := self.decision.contradiction()):
            raise DataError(f"decision: {problem}")

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output of one window."""
        shapes = {"embedding": (self.width,), "columns": (self.num_columns, self.width)}
        if self.decision:
            return (len(self.decision.classes),)
        return shapes[self.output]

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of each input of the graph."""
        found = {
            "signal": (1, self.num_channels, self.input_spec.num_samples),
            "channel_mask": (1, self.num_channels),
            "channel_ids": (1, self.num_channels),
        }
        if self.output == "embedding":
            found["column_weight"] = (1, self.num_columns)
        return found

    def check_graph(
        self, inputs: Mapping[str, tuple[object, ...]], output: tuple[object, ...], name: str
    ) -> None:
        """Raise a DataError for a graph with other inputs or another output."""
        wanted: dict[str, tuple[object, ...]] = dict(self.inputs)
        if dict(inputs) != wanted:
            raise DataError(
                f"{name} takes {_shapes(inputs)}; {_shapes(wanted)} is expected by its contract; "
                f"{_HINT}"
            )
        if output != (1, *self.output_shape):
            raise DataError(
                f"{name} gives output {list(output)}; {[1, *self.output_shape]} is expected by its "
                f"contract; {_HINT}"
            )

    def to_json(self) -> JsonObject:
        """Return the sealed content of the file."""
        return add_seal(dataclasses.asdict(self))


def _shapes(inputs: Mapping[str, tuple[object, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in sorted(inputs.items())[:8])


def is_graph(path: str | Path) -> bool:
    """Return whether a path is that of a graph, by its ending."""
    return Path(path).suffix in RUNTIMES


def runtime_of(path: Path) -> EdgeRuntime:
    """Return the library of a path by its ending; raise a ConfigError for that of no graph."""
    if not is_graph(path):
        raise ConfigError(
            f"{path.name} ends in {path.suffix!r}; {' or '.join(RUNTIMES)} is expected, which "
            "chooses between onnxruntime and LiteRT."
        )
    return RUNTIMES[path.suffix]


def contract_path(path: Path) -> Path:
    """Return the path of the contract of a graph."""
    return path.with_name(f"{path.name}.json")


def hash_of(graph: bytes) -> str:
    """Return the hash of a graph."""
    return hashlib.sha256(graph).hexdigest()


def read_edge_model(path: Path) -> tuple[bytes, Contract]:
    """Read a graph and its contract.

    Raises:
        UserError: The path does not end like that of a graph, a file is missing, damaged, or of
            another kind, or they do not belong together.
    """
    runtime_of(path)
    beside = contract_path(path)
    content = read_sealed(beside, _HINT)
    if content.get("format") != _FORMAT:
        raise DataError(f"{beside} does not describe a model for devices; {_HINT}")
    contract = check_types(Contract, content, str(beside), _HINT)
    graph = read_regular(path, _HINT, _MAX_BYTES)
    if (found := hash_of(graph)) != contract.graph_sha256:
        raise DataError(
            f"{path} is damaged, or is not the graph of {beside.name}: its SHA-256 begins "
            f"{found[:12]}, {contract.graph_sha256[:12]} is expected; {_HINT}"
        )
    return graph, contract


def fit_channels(arrays: Mapping[str, np.ndarray], num_channels: int) -> dict[str, np.ndarray]:
    """Pad windows [B, m, …] to M channels, or remove absent ones beyond it.

    Args:
        arrays: Entries of ``window_batches.WindowBatch.arrays``, at most M channels present.
        num_channels: Number of channels M.

    Returns:
        The inputs of a graph: 'signal' [B, M, L], 'channel_mask' and 'channel_ids' [B, M], and
        'column_weight' [B, W].
    """
    found = {"column_weight": arrays["column_weight"].astype(np.float32)}
    for name, dtype in (("signal", np.float32), ("channel_mask", bool), ("channel_ids", np.int64)):
        values = arrays[name][:, :num_channels]
        missing = num_channels - values.shape[1]
        widths = [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)]
        found[name] = np.pad(values, widths).astype(dtype)
    return found
