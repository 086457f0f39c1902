"""A graph loaded for computation on this machine's processor, and the time that programs take."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.edge.contract import EdgeRuntime, Latency
from physio_mae_jax.inference.edge.extra import LITERT, optional
from physio_mae_jax.types import Untyped

_NUM_ROUNDS = 21


class EdgeSession(Protocol):
    """Computes the outputs of windows, one at a time; threads may share it."""

    @property
    def inputs(self) -> dict[str, tuple[object, ...]]:
        """Name -> shape of each input; sizes that vary are text."""
        ...

    @property
    def output_shape(self) -> tuple[object, ...]:
        """Shape of the first output."""
        ...

    def run(self, windows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute windows of ``contract.fit_channels``: the outputs [B, …]."""
        ...


def open_session(
    graph: bytes, runtime: EdgeRuntime, name: str, num_threads: int = 1
) -> EdgeSession:
    """Load a graph.

    Args:
        graph: Serialized graph.
        runtime: 'onnx' or 'litert'.
        name: Name of the graph, for errors.
        num_threads: Threads of one computation.

    Raises:
        UserError: It is no graph that this version of the library can compute, or the library is
            not installed.
    """
    kind = LitertSession if runtime == "litert" else OnnxSession
    return kind(graph, name, num_threads)


class OnnxSession:
    """A graph in onnxruntime; an ``EdgeSession``."""

    def __init__(self, graph: bytes, name: str, num_threads: int) -> None:
        """Load a graph; arguments and errors as for ``open_session``."""
        runtime = optional("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3  # errors only
        try:
            self._session = runtime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of classes that onnxruntime does not export
            raise _rejected("onnxruntime", runtime.__version__, name, error) from error

    @property
    def inputs(self) -> dict[str, tuple[object, ...]]:
        """Name -> shape of each input."""
        return {one.name: tuple(one.shape) for one in self._session.get_inputs()}

    @property
    def output_shape(self) -> tuple[object, ...]:
        """Shape of the first output."""
        return tuple(self._session.get_outputs()[0].shape)

    def run(self, windows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute windows, see ``EdgeSession``."""
        names = list(self.inputs)
        found = [
            self._session.run(None, {name: windows[name][row : row + 1] for name in names})[0]
            for row in range(len(windows["signal"]))
        ]
        return np.concatenate(found)


class LitertSession:
    """A graph in LiteRT; an ``EdgeSession``."""

    def __init__(self, graph: bytes, name: str, num_threads: int) -> None:
        """Load a graph; arguments and errors as for ``open_session``."""
        library = optional("ai_edge_litert", LITERT)
        interpreter = optional("ai_edge_litert.interpreter", LITERT)
        self._lock = threading.Lock()  # an interpreter computes in buffers of its own
        try:
            self._interpreter = interpreter.Interpreter(
                model_content=graph, num_threads=num_threads
            )
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
        except Exception as error:  # ValueError, RuntimeError
            version = getattr(library, "__version__", "")
            raise _rejected("LiteRT", version, name, error) from error

    @property
    def inputs(self) -> dict[str, tuple[object, ...]]:
        """Name -> shape of each input."""
        return {name: shape for name, (shape, _) in self._described().items()}

    @property
    def output_shape(self) -> tuple[object, ...]:
        """Shape of the first output."""
        first = next(iter(self._run.get_output_details().values()))
        return tuple(map(int, first["shape"]))

    def run(self, windows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute windows, see ``EdgeSession``."""
        found = []
        described = self._described()
        with self._lock:
            for row in range(len(windows["signal"])):
                one: dict[str, np.ndarray] = {
                    name: windows[name][row : row + 1].astype(dtype)
                    for name, (_, dtype) in described.items()
                }
                found.append(next(iter(self._run(**one).values())).copy())
        return np.concatenate(found)

    def _described(self) -> dict[str, tuple[tuple[object, ...], type]]:
        details: Untyped = self._run.get_input_details()
        return {
            name: (tuple(map(int, one["shape"])), one["dtype"]) for name, one in details.items()
        }


def _rejected(library: str, version: str, name: str, error: Exception) -> DataError:
    return DataError(
        f"{library} {version} cannot compute {name} ({str(error)[:300]}); export the model "
        f"again, or update {library}."
    )


def measure_latency(programs: Mapping[str, Callable[[], object]]) -> dict[str, Latency]:
    """Time programs in turn, so that other load on the machine affects all alike.

    Args:
        programs: Name -> function that encodes one window.

    Returns:
        Wall time of each; its median is of use on a busy machine, its 90th percentile is not.
    """
    for run in programs.values():
        run()
    seconds = np.zeros((_NUM_ROUNDS, len(programs)))
    for row in seconds:
        for column, run in enumerate(programs.values()):
            start = time.perf_counter()
            run()
            row[column] = time.perf_counter() - start
    quantiles = np.quantile(1e3 * seconds, (0.1, 0.5, 0.9), axis=0).round(3)
    return {
        name: Latency(p10_ms=float(low), median_ms=float(middle), p90_ms=float(high))
        for name, (low, middle, high) in zip(programs, quantiles.T, strict=True)
    }
