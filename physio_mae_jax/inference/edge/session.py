"""A graph loaded for computation on this machine's processor, and the time that programs take."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.edge.contract import Latency
from physio_mae_jax.inference.edge.extra import optional

_NUM_ROUNDS = 21


class EdgeSession:
    """Computes the outputs of windows, one at a time; threads may share it."""

    def __init__(self, graph: bytes, name: str, *, num_threads: int = 1) -> None:
        """Load a graph.

        Args:
            graph: Serialized graph.
            name: Name of the graph, for errors.
            num_threads: Threads of one computation.

        Raises:
            DataError: It is no graph that this version of onnxruntime can compute.
        """
        runtime = optional("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3  # errors only
        try:
            self._session = runtime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of classes that onnxruntime does not export
            raise DataError(
                f"onnxruntime {runtime.__version__} cannot compute {name} "
                f"({str(error)[:300]}); export the encoder again, or update onnxruntime."
            ) from error

    @property
    def inputs(self) -> dict[str, tuple[object, ...]]:
        """Name -> shape of each input; sizes that vary are text."""
        return {one.name: tuple(one.shape) for one in self._session.get_inputs()}

    @property
    def output_shape(self) -> tuple[object, ...]:
        """Shape of the first output."""
        return tuple(self._session.get_outputs()[0].shape)

    def run(self, windows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute windows of ``contract.fit_channels``: the outputs [B, …]."""
        names = list(self.inputs)
        found = [
            self._session.run(None, {name: windows[name][row : row + 1] for name in names})[0]
            for row in range(len(windows["signal"]))
        ]
        return np.concatenate(found)


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
