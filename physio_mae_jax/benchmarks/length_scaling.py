"""Training and encoding of windows against their length, for each time mixer.

Every program is compiled and its memory planned; it runs only if that memory is free, and if the
same program for the next shorter windows was not too slow.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax

from physio_mae_jax.benchmarks.cases import (
    BenchmarkSpec,
    ResidentStep,
    benchmark_sizes,
    resident_features,
    resident_step,
)
from physio_mae_jax.benchmarks.planning import USABLE_SHARE
from physio_mae_jax.benchmarks.sweep import exponent
from physio_mae_jax.benchmarks.timing import planned_gib, time_calls
from physio_mae_jax.data.formats.memory import available_bytes
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.types import JsonObject

CASE = "length"
_BLOCK_SECONDS = 12.0
_FULL: dict[str, object] = {"time_mixer": "attention"}
_STATE_SPACE: dict[str, object] = {"time_mixer": "state_space"}
# Settings of the model for each name; the first is what the others are compared with.
TIME_MIXERS: Mapping[str, dict[str, object]] = {
    name: {"attention_every": 0, "attention_block_seconds": 0.0, **settings}
    for name, settings in {
        "attention": _FULL,
        "blocks": {**_FULL, "attention_block_seconds": _BLOCK_SECONDS},
        "state_space": _STATE_SPACE,
        "hybrid": {**_STATE_SPACE, "attention_every": 4},
        "hybrid_blocks": {
            **_STATE_SPACE,
            "attention_every": 4,
            "attention_block_seconds": _BLOCK_SECONDS,
        },
    }.items()
}
_PROGRAMS: Mapping[str, Callable[[BenchmarkSpec], ResidentStep]] = {
    "train": resident_step,
    "features": resident_features,
}
# Exponents are fitted to this range of lengths, up to the longest.
_FITTED_RANGE = 10.0
# A step that takes longer is not tried with longer windows.
_LONGEST_STEP_S = 20.0
_COLUMNS = (
    ("program", "program"),
    ("time_mixer", "time mixer"),
    ("samples", "samples"),
    ("ms", "ms"),
    ("planned_gib", "planned GiB"),
    ("speed_ratio", "attention / ms"),
    ("memory_ratio", "attention / GiB"),
    ("not_run", "not run for"),
)


class Cost(NamedTuple):
    """Cost of a program for windows of one length.

    Attributes:
        planned_gib: Planned memory on a device, in GiB; None if it could not be compiled.
        ms: Time of a call in milliseconds; None if it was not run.
        compile_s: Compilation time in seconds; None if it could not be compiled.
        not_run: Why it was not run: 'memory', 'time' or ''.
    """

    planned_gib: float | None
    ms: float | None
    compile_s: float | None
    not_run: str = ""


def measure_length_scaling(
    build: Callable[[str, int], BenchmarkSpec],
    time_mixers: Sequence[str],
    lengths: Sequence[int],
) -> Iterator[JsonObject]:
    """Measure the training step and feature extraction for each time mixer and length.

    Args:
        build: Builds the benchmark for a time mixer and a number of samples.
        time_mixers: Names of ``TIME_MIXERS``, in any order.
        lengths: Window lengths in samples, rising.

    Yields:
        A line for each program, time mixer and length, with the ratios of the cost of full
        attention to it; after those of a mixer, the exponents of time and of planned memory.
    """
    for program in _PROGRAMS:
        attention: dict[int, Cost] = {}
        for mixer in (name for name in TIME_MIXERS if name in time_mixers):
            costs: dict[int, Cost] = {}
            common = {"case": CASE, "program": program, "time_mixer": mixer}
            too_slow = False
            for length in lengths:
                bench = build(mixer, length)
                samples = bench.model.num_samples
                cost = costs[samples] = _measure(program, bench, too_slow=too_slow)
                too_slow |= cost.ms is not None and cost.ms > 1e3 * _LONGEST_STEP_S
                if mixer == next(iter(TIME_MIXERS)):
                    attention[samples] = cost
                ratios = _ratios(attention.get(samples), cost)
                yield common | benchmark_sizes(bench) | cost._asdict() | ratios
            yield common | exponents(costs)


def exponents(costs: Mapping[int, Cost]) -> JsonObject:
    """Return how milliseconds and GiB grow with the length, over the last factor of ten.

    An exponent is None where fewer than two lengths were measured.
    """
    found: JsonObject = {}
    for name, kind in (("time_exponent", "ms"), ("memory_exponent", "planned_gib")):
        known = {length: getattr(cost, kind) for length, cost in costs.items()}
        known = {length: value for length, value in known.items() if value}
        # A window is a whole number of columns, so that a decade may be slightly longer.
        fitted = [length for length in known if length * _FITTED_RANGE * 1.01 >= max(known)]
        enough = len(fitted) > 1
        found[name] = exponent(fitted, [known[length] for length in fitted]) if enough else None
        found[f"{name}_lengths"] = fitted
    return found


def format_table(lines: Sequence[JsonObject]) -> list[str]:
    """Format the lines of ``measure_length_scaling`` as a table, exponents last."""
    measured = [line for line in lines if "samples" in line]
    rows = [[title for _, title in _COLUMNS]]
    rows += [[_text(line[name]) for name, _ in _COLUMNS] for line in measured]
    grown = [
        [line["program"], line["time_mixer"], *map(_text, _both_exponents(line))]
        for line in lines
        if "samples" not in line
    ]
    head = ["program", "time mixer", "time exponent", "memory exponent"]
    return [*_aligned(rows), "", *_aligned([head, *grown])]


def parse_lengths(texts: Sequence[str]) -> list[int]:
    """Read window lengths in samples.

    Raises:
        ConfigError: They are not rising whole numbers above 0.
    """
    lengths = [int(text) if text.isdecimal() else 0 for text in texts]
    if not lengths or lengths[0] < 1 or any(a >= b for a, b in itertools.pairwise(lengths)):
        raise ConfigError(
            "lengths must be rising numbers of samples, such as 3000,10000,30000; got "
            f"{','.join(texts)!r}."
        )
    return lengths


def check_time_mixers(names: Sequence[str]) -> None:
    """Raise a ConfigError for a name that is not in ``TIME_MIXERS``."""
    for name in names:
        if name not in TIME_MIXERS:
            raise ConfigError(f"time_mixers must be of {', '.join(TIME_MIXERS)}; got {name!r}.")


def _measure(program: str, bench: BenchmarkSpec, *, too_slow: bool) -> Cost:
    try:
        resident = _PROGRAMS[program](bench)
        planned = planned_gib(resident.compiled)["peak"]
        made = (planned, resident.compile_seconds)
        if too_slow or planned > _free_gib(bench.mesh.devices.flat[0]):
            return Cost(made[0], None, made[1], "time" if too_slow else "memory")
        seconds = time_calls(resident.step, bench.repeats).seconds
    except jax.errors.JaxRuntimeError as error:
        # The compiler and the allocator report it alike.
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return Cost(None, None, None, "memory")
    return Cost(made[0], 1e3 * seconds, made[1])


def _free_gib(device: jax.Device) -> float:
    """Return the memory that a program may plan on a device, in GiB."""
    limit = (device.memory_stats() or {}).get("bytes_limit") or available_bytes()
    return float("inf") if limit is None else USABLE_SHARE * limit / 2**30


def _ratios(attention: Cost | None, cost: Cost) -> JsonObject:
    """Return how many times the cost of full attention is that of a mixer; None if unknown."""
    pairs = {
        "speed_ratio": (attention and attention.ms, cost.ms),
        "memory_ratio": (attention and attention.planned_gib, cost.planned_gib),
    }
    return {name: of / by if of and by else None for name, (of, by) in pairs.items()}


def _both_exponents(line: JsonObject) -> tuple[object, object]:
    return line["time_exponent"], line["memory_exponent"]


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the columns of a table, the first two to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
