"""Time that a window takes, of several programs in turn on this machine."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from physio_mae_jax.inference.edge.contract import Latency

_NUM_ROUNDS = 21


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
