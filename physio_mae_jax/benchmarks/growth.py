"""How the time and memory of a training step grow with the size of a setting."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from physio_mae_jax.benchmarks.cases import Bench, bench_sizes, measure_training
from physio_mae_jax.errors import ConfigError

# Exponents are of the largest half of the sizes: below, what does not grow hides what does.
_FITTED_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Axis:
    """A setting that is made larger and larger.

    Attributes:
        name: 'channels' or a number of the config, such as 'window_seconds' or 'batch_size'.
        values: in rising order, two at least.
    """

    name: str
    values: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """Read 'channels=1,4,16'.

        Raises:
            ConfigError: it is written otherwise, or the values do not rise.
        """
        name, _, listed = text.partition("=")
        try:
            values = tuple(float(value) for value in listed.split(","))
        except ValueError as error:
            raise ConfigError(f"grow={text!r} is not a name and numbers; write such as "
                              "channels=1,4,16.") from error  # fmt: skip
        rising = all(0 < a < b for a, b in itertools.pairwise(values))
        if not name or len(values) < 2 or not rising or values[-1] == math.inf:
            raise ConfigError(
                f"grow={text!r} needs a name and two or more numbers above 0 that rise, such as "
                "channels=1,4,16."
            )
        return cls(name, values)


def measure_growth(axis: Axis, build: Callable[[float], Bench]) -> Iterator[dict[str, Any]]:
    """Measure a training step at each value, and then how it grew.

    Args:
        axis: what grows.
        build: makes the bench of a value.

    Yields:
        A line as ``measure_training`` makes it for each value; last the exponents of milliseconds
        and of planned GiB without the state, by least squares in logarithms.
    """
    milliseconds, gibibytes = [], []
    for value in axis.values:
        bench = build(value)
        line = bench_sizes(bench) | measure_training(bench)
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
