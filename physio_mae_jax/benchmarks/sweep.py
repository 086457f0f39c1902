"""Scaling of a training step's time and memory with the size of a setting."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from physio_mae_jax.benchmarks.cases import BenchmarkSpec, benchmark_sizes, measure_training
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.types import JsonObject

# Exponents are fitted to the largest half of the sizes; below, constant costs dominate.
_FITTED_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class SweepAxis:
    """A setting that is swept over increasing values.

    Attributes:
        name: 'channels' or a numeric config key, such as 'window_seconds' or 'batch_size'.
        values: At least two values in increasing order.
    """

    name: str
    values: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "SweepAxis":
        """Parse 'channels=1,4,16'.

        Raises:
            ConfigError: The text is malformed, or the values do not increase.
        """
        name, _, listed = text.partition("=")
        try:
            values = tuple(float(value) for value in listed.split(","))
        except ValueError as error:
            raise ConfigError(f"grow must be a name and numbers, such as channels=1,4,16; "
                              f"got grow={text!r}.") from error  # fmt: skip
        rising = all(0 < a < b for a, b in itertools.pairwise(values))
        if not name or len(values) < 2 or not rising or values[-1] == math.inf:
            raise ConfigError(
                "grow must be a name and two or more increasing numbers above 0, such as "
                f"channels=1,4,16; got grow={text!r}."
            )
        return cls(name, values)


def measure_growth(
    axis: SweepAxis, build: Callable[[float], BenchmarkSpec]
) -> Iterator[JsonObject]:
    """Measure a training step at each value, then fit how its cost grows.

    Args:
        axis: Swept setting.
        build: Builds the benchmark for a value.

    Yields:
        A line of ``measure_training`` for each value; last the exponents of milliseconds and of
        planned GiB without the state, by least squares in logarithms.
    """
    milliseconds, gibibytes = [], []
    for value in axis.values:
        bench = build(value)
        line = benchmark_sizes(bench) | measure_training(bench)
        milliseconds.append(line["ms"])
        gibibytes.append(line["planned_gib"]["temporaries"])
        yield {"grows": axis.name, "value": value, **line}
    fitted = slice(-max(2, round(len(axis.values) * _FITTED_SHARE)), None)
    sizes = axis.values[fitted]
    yield {
        "grows": axis.name,
        "fitted_to": list(sizes),
        "time_exponent": exponent(sizes, milliseconds[fitted]),
        "memory_exponent": exponent(sizes, gibibytes[fitted]),
    }


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return p of costs ~ sizes ** p, by least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
