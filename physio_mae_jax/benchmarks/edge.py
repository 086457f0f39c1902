"""Time of a window on a device: graphs of the shipped models beside the same models in JAX.

Each program is computed on one processor core, in turns with the others, and its CPU time is
counted: other load on the machine affects it less than the time on a clock.
"""

import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from physio_mae_jax.inference.edge.contract import EdgeRuntime, fit_channels
from physio_mae_jax.inference.edge.edge_model import EdgeModel
from physio_mae_jax.inference.edge.encoder_graph import onnx_graph
from physio_mae_jax.inference.edge.litert import litert_graph
from physio_mae_jax.inference.edge.parity import probe_windows
from physio_mae_jax.inference.edge.quantization import quantize
from physio_mae_jax.inference.edge.session import open_session
from physio_mae_jax.inference.saved_model import load_model
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)
MODELS, CHANNELS = ("physio-tiny", "physio-small"), (1, 2, 3, 12)
_ROUNDS = 20  # of each repeat
_LITERT = ("litert_converter", "ai_edge_litert")


class WindowTime(NamedTuple):
    """CPU time of one window.

    Attributes:
        model, channels: Model, and channels of the window.
        program: 'float32' and 'int8' (onnxruntime), 'litert' or 'jax'.
        median_ms, p99_ms: Median and 99th percentile, milliseconds.
        real_time_factor: Median over the duration of the window.
    """

    model: str
    channels: int
    program: str
    median_ms: float
    p99_ms: float
    real_time_factor: float


def measure_devices(
    repeats: int, models: Sequence[str] = MODELS, channels: Sequence[int] = CHANNELS
) -> list[WindowTime]:
    """Time a window of each model and number of channels.

    Where LiteRT is not installed, a warning says so and the others are timed.

    Args:
        repeats: Number of repeats, of 20 windows each.
        models: Shipped models.
        channels: Numbers of channels M.

    Raises:
        UserError: A model is unknown, or onnx or onnxruntime is not installed.
    """
    if not _has_litert():
        _LOG.warning('without LiteRT, which is installed by pip install "physio_mae_jax[litert]"')
    found: list[WindowTime] = []
    for name in models:
        model = EdgeModel.of_encoder(load_model(name))
        seconds = model.input_spec.num_samples / model.input_spec.sampling_rate_hz
        for count in channels:
            with _one_core():
                times = _cpu_times(_programs(model, count), _ROUNDS * repeats)
            for program, milliseconds in times.items():
                median, high = np.quantile(milliseconds, (0.5, 0.99))
                factor = float(median / 1e3 / seconds)
                found.append(WindowTime(name, count, program, float(median), float(high), factor))
    return found


def format_table(times: Sequence[WindowTime]) -> list[str]:
    """Return the lines of a table with a row for each model and number of channels."""
    programs = list(dict.fromkeys(one.program for one in times))
    heads = ["model", "channels", *(f"{name}, ms (p99)" for name in programs), "real-time factor"]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for key in dict.fromkeys((one.model, one.channels) for one in times):
        row = {one.program: one for one in times if (one.model, one.channels) == key}
        cells = [f"{row[name].median_ms:.1f} ({row[name].p99_ms:.1f})" for name in programs]
        factors = [row[name].real_time_factor for name in programs if name != "jax"]
        listed = [f"`{key[0]}`", str(key[1]), *cells, f"{max(factors):.4f}"]
        lines.append("| " + " | ".join(listed) + " |")
    return lines


def edge_case(repeats: int) -> JsonObject:
    """Time all models and log the table; the case 'edge'."""
    times = measure_devices(repeats)
    for line in format_table(times):
        _LOG.info("%s", line)
    return {"case": "edge", "windows": [one._asdict() for one in times]}


def _programs(model: EdgeModel, channels: int) -> dict[str, Callable[[], object]]:
    """Return functions that compute one window."""
    windows = probe_windows(model.input_spec, model.config.num_columns, channels)
    one = {name: values[:1] for name, values in fit_channels(windows, channels).items()}
    plain, reference = onnx_graph(model, channels, "embedding"), model.reference("embedding")
    # The time does not depend on the windows that it is calibrated with.
    graphs: dict[str, tuple[bytes, EdgeRuntime]] = {
        "float32": (plain, "onnx"),
        "int8": (quantize(plain, windows), "onnx"),
    }
    if _has_litert():
        graphs["litert"] = litert_graph(model, channels, "embedding"), "litert"
    sessions = {name: open_session(*graph, name) for name, graph in graphs.items()}
    programs: dict[str, Callable[[], object]] = {
        name: lambda session=session: session.run(one)  # type: ignore[misc]
        for name, session in sessions.items()
    }
    return programs | {"jax": lambda: reference(one)}


def _cpu_times(programs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Return the CPU times in milliseconds of each program, in turns."""
    for run in programs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, run in programs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: 1e3 * np.asarray(values) for name, values in seconds.items()}


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Keep the threads of this process on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _has_litert() -> bool:
    return all(importlib.util.find_spec(name) for name in _LITERT)
