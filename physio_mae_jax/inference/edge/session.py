"""A graph loaded for computation on this machine's processor."""

from collections.abc import Mapping

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.edge.extra import optional


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

    def run(self, windows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute windows of ``contract.fit_channels``: the outputs [B, …]."""
        names = [one.name for one in self._session.get_inputs()]
        found = [
            self._session.run(None, {name: windows[name][row : row + 1] for name in names})[0]
            for row in range(len(windows["signal"]))
        ]
        return np.concatenate(found)
