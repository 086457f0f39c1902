"""Time what a device does, and not how fast Python hands it over."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

_WARM_UP_CALLS = 3
# Long enough that starting a call does not matter, short enough to be over in a second.
_SECONDS_A_REPEAT = 0.5


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of one call: the median of several repeats, and all of them.

    Attributes:
        seconds: median.
        repeats: seconds of a call in each repeat, in order.
    """

    seconds: float
    repeats: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Largest minus smallest repeat, as a share of the median."""
        return (max(self.repeats) - min(self.repeats)) / self.seconds


def time_calls(call: Callable[[int], Any], repeats: int) -> Timing:
    """Time a function that starts work on a device.

    Args:
        call: starts call number i and returns what it makes; calls may depend on earlier ones.
        repeats: of some calls each, whose results are waited for.
    """
    number = 0
    for _ in range(_WARM_UP_CALLS):
        jax.block_until_ready(call(number))
        number += 1
    begun = time.perf_counter()
    jax.block_until_ready(call(number))
    number += 1
    calls = max(1, int(_SECONDS_A_REPEAT / max(time.perf_counter() - begun, 1e-6)))
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


def product_rate(size: int, dtype: Any, repeats: int) -> float:
    """Return the operations a second that a plain product of two square matrices reaches.

    It is measured on the machine and in the process of what is compared with it: the figure of a
    data sheet holds for other clocks, temperatures and sparsity.

    Args:
        size: N of [N, N].
        dtype: of both matrices.
        repeats: see ``time_calls``.
    """
    keys = jax.random.split(jax.random.key(0), 2)
    left, right = (jax.random.normal(key, (size, size), jnp.float32).astype(dtype) for key in keys)
    multiply = jax.jit(lambda a, b: a @ b)
    return 2 * size**3 / time_calls(lambda _: multiply(left, right), repeats).seconds


def allocator_peak_gib(device: jax.Device) -> float | None:
    """Return the most memory that a device has held so far; None where it does not count."""
    statistics_of_device: Mapping[str, int] = device.memory_stats() or {}
    peak = statistics_of_device.get("peak_bytes_in_use")
    return None if peak is None else peak / 2**30


def planned_gib(compiled: jax.stages.Compiled) -> dict[str, float]:
    """Return what the compiler plans to hold at once on a device, in GiB.

    Returns:
        'arguments', 'temporaries', 'outputs' that take over no argument, and their sum 'peak'.
    """
    analysis: Any = compiled.memory_analysis()
    own_outputs = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    parts = {
        "arguments": analysis.argument_size_in_bytes,
        "temporaries": analysis.temp_size_in_bytes,
        "outputs": max(0, own_outputs),
    }
    return {name: size / 2**30 for name, size in (parts | {"peak": sum(parts.values())}).items()}
