"""Profiler trace of a few calls, and its most expensive operations."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax

from physio_mae_jax.errors import UserError
from physio_mae_jax.types import JsonObject

_CALLS = 3


def profile_calls(call: Callable[[int], object], folder: Path) -> list[tuple[str, float]]:
    """Trace a function that starts work on a device; TensorBoard and Perfetto open the trace.

    Args:
        call: See ``timing.time_calls``.
        folder: Output folder of the trace.

    Returns:
        Name and milliseconds per call of each device operation, most expensive first.

    Raises:
        UserError: The profiler wrote nothing.
    """
    jax.block_until_ready(call(0))
    with jax.profiler.trace(str(folder), create_perfetto_trace=False):
        for number in range(_CALLS):
            jax.block_until_ready(call(number + 1))
    traces = sorted(folder.rglob("*.trace.json.gz"), key=lambda path: path.stat().st_mtime)
    if not traces:
        raise UserError(f"the profiler wrote no trace into {folder}.")
    with gzip.open(traces[-1], "rt", encoding="utf-8") as file:
        totals = operation_times(json.load(file)["traceEvents"])
    return [(name, us / 1e3 / _CALLS) for name, us in totals.most_common()]


def operation_times(events: list[JsonObject]) -> "Counter[str]":
    """Sum the microseconds of each operation in the events of a trace.

    On a GPU or TPU, events on the device tracks; on a CPU, which has none, events that belong to a
    compiled program.
    """
    devices = {
        event["pid"]
        for event in events
        if event.get("name") == "process_name" and "/device:" in event["args"]["name"]
    }
    totals: Counter[str] = Counter()
    for event in events:
        if event.get("ph") != "X":
            continue
        arguments = event.get("args", {})
        if event["pid"] in devices if devices else "hlo_op" in arguments:
            name = arguments.get("hlo_op") or event["name"]
            totals[str(name)] += event["dur"]
    return totals
