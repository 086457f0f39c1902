"""Time device execution, not Python dispatch."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Protocol, cast

import jax
import jax.numpy as jnp

_WARM_UP_CALLS = 3
# Long enough that dispatch is negligible, short enough to finish in about a second.
_SECONDS_PER_REPEAT = 0.5


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds per call: the median of several repeats, and all of them.

    Attributes:
        seconds: Median seconds per call.
        repeats: Seconds per call in each repeat, in order.
    """

    seconds: float
    repeats: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Largest minus smallest repeat, as a share of the median."""
        return (max(self.repeats) - min(self.repeats)) / self.seconds


def time_calls(call: Callable[[int], object], repeats: int) -> Timing:
    """Time a function that dispatches work to a device.

    Args:
        call: Dispatches call number i and returns its result; calls may depend on earlier ones.
        repeats: Number of repeats, each of several calls whose results are waited for.
    """
    number = 0
    for _ in range(_WARM_UP_CALLS):
        jax.block_until_ready(call(number))
        number += 1
    begun = time.perf_counter()
    jax.block_until_ready(call(number))
    number += 1
    calls = max(1, int(_SECONDS_PER_REPEAT / max(time.perf_counter() - begun, 1e-6)))
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        result = None
        for _ in range(calls):
            result = call(number)
            number += 1
        jax.block_until_ready(result)
        taken.append((time.perf_counter() - begun) / calls)
    return Timing(statistics.median(taken), tuple(taken))


def product_rate(size: int, dtype: jax.typing.DTypeLike, repeats: int) -> float:
    """Return the FLOP/s of a plain matmul of two square matrices.

    It is measured on the same machine and in the same process as the benchmark: data sheet values
    hold for other clocks, temperatures and sparsity.

    Args:
        size: Size n of the [n, n] matrices.
        dtype: Type of both matrices.
        repeats: See ``time_calls``.
    """
    keys = jax.random.split(jax.random.key(0), 2)
    left, right = (jax.random.normal(key, (size, size), jnp.float32).astype(dtype) for key in keys)
    multiply = jax.jit(lambda a, b: a @ b)
    return 2 * size**3 / time_calls(lambda _: multiply(left, right), repeats).seconds


def allocator_peak_gib(device: jax.Device) -> float | None:
    """Return the peak memory of a device so far, in GiB; None if it does not report it."""
    statistics_of_device: Mapping[str, int] = device.memory_stats() or {}
    peak = statistics_of_device.get("peak_bytes_in_use")
    return None if peak is None else peak / 2**30


class _MemoryPlan(Protocol):
    """Memory of a compiled program on a device, as XLA plans it, in bytes."""

    argument_size_in_bytes: int
    temp_size_in_bytes: int
    output_size_in_bytes: int
    alias_size_in_bytes: int


def planned_gib(compiled: jax.stages.Compiled) -> dict[str, float]:
    """Return the peak memory that the compiler plans on a device, in GiB.

    Returns:
        'arguments', 'temporaries', 'outputs' that take over no argument, and their sum 'peak'.
    """
    analysis = cast(_MemoryPlan, compiled.memory_analysis())
    own_outputs = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    parts = {
        "arguments": analysis.argument_size_in_bytes,
        "temporaries": analysis.temp_size_in_bytes,
        "outputs": max(0, own_outputs),
    }
    return {name: size / 2**30 for name, size in (parts | {"peak": sum(parts.values())}).items()}
