"""Metrics of each process of a run: step time, input wait, memory, and the data order."""

import contextlib
import hashlib
import json
import logging
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from physio_mae_jax.training.metrics_file import drop_lines_after
from physio_mae_jax.types import JsonObject

_LOG = logging.getLogger(__name__)

STEP, INPUT, SAVING, EVALUATING = (
    "step_seconds",
    "input_seconds",
    "saving_seconds",
    "evaluating_seconds",
)
_TIMES = (STEP, INPUT, SAVING)
_MEMORY = ("memory_gib", "device_memory_gib")
# A process lags if its input time exceeds that of the median process by this factor, by this
# fraction of a step, and by at least this many seconds.
_LAG_FACTOR, _LAG_FRACTION, _LAG_SECONDS = 2.0, 0.1, 0.05
_GIB = 2**30


class HostMetrics:
    """Measures this process; process 0 writes the metrics of all processes to hosts.jsonl.

    Each line contains, per process: seconds per step since the last line, including the input time
    until its batch was on the devices; additional seconds per step for saving; and the peak memory
    of process and device (0 if the device does not report it). 'data_order' is a hash of the
    windows of the step and their positions: the same for any number of processes. 'devices' are the
    kind and number of devices, and 'evaluating_seconds' the evaluations of process 0 since the last
    line, both for the cost of the run.
    """

    def __init__(self, workdir: Path, first_step: int, mesh: Mesh) -> None:
        kind = mesh.devices.flat[0].device_kind
        self._devices = {"kind": kind, "number": mesh.size}
        self._path = workdir / "hosts.jsonl"
        self._restart(first_step)
        if jax.process_index() == 0:
            drop_lines_after(self._path, first_step)

    def _restart(self, step: int) -> None:
        self._step, self._since = step, time.perf_counter()
        self._spent = dict.fromkeys((INPUT, SAVING, EVALUATING), 0.0)

    @contextlib.contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Measure the block as INPUT, SAVING or EVALUATING; the last two are not part of a step."""
        start_time = time.perf_counter()
        yield
        self._spent[what] += time.perf_counter() - start_time

    def report(self, step: int, batch: Mapping[str, np.ndarray]) -> None:
        """Gather the metrics of all processes (a collective call), write them and check for lag.

        Args:
            step: Number of completed steps.
            batch: Host batch of this process in that step.
        """
        spent, steps = self._spent, step - self._step
        stepping = time.perf_counter() - self._since - spent[SAVING] - spent[EVALUATING]
        evaluating = spent[EVALUATING]
        own = [stepping / steps, spent[INPUT] / steps, spent[SAVING] / steps]
        own += [_process_memory() / _GIB, _device_memory() / _GIB]
        order = order_hash(batch, jax.process_index() * len(batch["recording"]))
        halves = np.array([order >> 32, order & 0xFFFFFFFF], np.uint32)
        gathered, orders = multihost_utils.process_allgather((np.asarray(own, np.float32), halves))
        self._restart(step)
        if jax.process_index() == 0:
            cost = {EVALUATING: round(evaluating, 6), "devices": self._devices}
            self._write(step, cost, gathered.reshape(-1, len(own)), orders.reshape(-1, 2))

    def _write(self, step: int, cost: JsonObject, gathered: np.ndarray, orders: np.ndarray) -> None:
        total = sum((int(high) << 32) + int(low) for high, low in orders) % 2**64
        record: JsonObject = {"step": step, "data_order": f"{total:016x}", **cost}
        for name, values in zip((*_TIMES, *_MEMORY), gathered.T, strict=True):
            record[name] = [round(float(value), 6) for value in values]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        lag = find_straggler(record[STEP], record[INPUT])
        if lag:
            _LOG.warning("step %d: %s", step, lag)


def find_straggler(step_seconds: list[float], input_seconds: list[float]) -> str:
    """Describe the process whose input delays the others; '' if none."""
    worst = int(np.argmax(input_seconds))
    others = float(np.median(np.delete(input_seconds, worst))) if len(input_seconds) > 1 else 0.0
    excess = input_seconds[worst] - others
    if (
        len(input_seconds) < 2
        or input_seconds[worst] < _LAG_FACTOR * others
        or excess < max(_LAG_SECONDS, _LAG_FRACTION * step_seconds[worst])
    ):
        return ""
    return (
        f"process {worst} lags: {input_seconds[worst]:.3f} s of a step of "
        f"{step_seconds[worst]:.3f} s until its batch is ready, the others {others:.3f} s; check "
        "its disk and CPU, or raise data.cache_mib to the size of all decoded data."
    )


def order_hash(batch: Mapping[str, np.ndarray], first_position: int) -> int:
    """Hash the windows of a batch and their positions: 64 bits, a sum over examples.

    Args:
        batch: Host batch with 'recording' and 'start' [local B].
        first_place: Position of its first example in the global batch.
    """
    total = 0
    windows = zip(batch["recording"].tolist(), batch["start"].tolist(), strict=True)
    for position, (recording, start) in enumerate(windows, start=first_position):
        name = f"{position} {recording} {start}".encode()
        total += int.from_bytes(hashlib.blake2b(name, digest_size=8).digest())
    return total % 2**64


def _process_memory() -> int:
    """Return the peak memory of this process in bytes; macOS counts it in bytes, Linux in KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_memory() -> int:
    """Return the highest peak memory of a device of this process, in bytes."""
    statistics = [device.memory_stats() or {} for device in jax.local_devices()]
    return max(
        statistics_of_device.get("peak_bytes_in_use", 0) for statistics_of_device in statistics
    )
