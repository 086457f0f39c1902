"""Command line: ``python -m physio_mae_jax.benchmark --config=configs/pretrain.py:preset=base``.

Prints one JSON line per case. Timings are medians over repeats with alternating inputs, and include
the computation: each waits for the result, not only for the dispatch.
"""

import copy
import dataclasses
import functools
import json
import logging
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags
from ml_collections import config_flags

from physio_mae_jax.cli import parse_flags, report_error, set_gpu_memory_fraction, set_up_logging
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.types import JsonObject, Settings

if TYPE_CHECKING:
    from physio_mae_jax.benchmarks.cases import BenchmarkSpec
    from physio_mae_jax.benchmarks.sweep import SweepAxis

_LOG = logging.getLogger("physio_mae_jax")
_SHOWN = 10

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "configs/pretrain.py, with ':name=value,…' for its arguments.", lock_config=True
)
_BENCHMARKS = flags.DEFINE_list(
    "benchmarks",
    ["train", "features", "wavelets"],
    "Benchmarks to run: train, features, wavelets, pipeline (data), import, long (recordings), "
    "edge (graphs for devices), length (of windows, for each time mixer).",
)
_CHANNELS = flags.DEFINE_integer("channels", 12, "Number of channels of a window.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Number of repeats of each timing.")
_FIT_MEMORY_GIB = flags.DEFINE_list(
    "fit_memory_gib", [], "GPU memory in GiB, such as 24,40,80: the largest batch that fits."
)
_SWEEP = flags.DEFINE_multi_string(
    "sweep", [], "'channels=1,4,16', 'batch_size=…', 'window_seconds=…': scaling of the step."
)
_LENGTHS = flags.DEFINE_list(
    "lengths", ["3000", "10000", "30000", "100000"], "Samples of a window, of the case 'length'."
)
_TIME_MIXERS = flags.DEFINE_list(
    "time_mixers",
    ["attention", "blocks", "state_space", "hybrid", "hybrid_blocks"],
    "Time mixers of the case 'length'; blocks are of 12 s, and the hybrids have every fourth layer "
    "of attention.",
)
_PROFILE = flags.DEFINE_string("profile", None, "Folder for a trace of the training step.")
_LABEL = flags.DEFINE_string("label", "", "Label of this case in the JSON lines.")
_OUT = flags.DEFINE_string("out", None, "File that the JSON lines are also appended to.")


def main(argv: list[str]) -> None:
    """Run the measurements selected by the flags."""
    if len(argv) > 1:
        raise UserError(f"arguments not understood: {' '.join(argv[1:])}; flags begin with --.")
    set_up_logging()
    set_gpu_memory_fraction()
    check_settings(_CONFIG.value)
    for name, value in (("--profile", _PROFILE.value), ("--out", _OUT.value)):
        if value is not None:
            local_path(value, name)
    from physio_mae_jax.benchmarks import length_scaling
    from physio_mae_jax.benchmarks.cases import (
        CASES,
        benchmark_sizes,
        describe_machine,
        with_utilization,
    )
    from physio_mae_jax.commands.benchmarking import build_benchmark
    from physio_mae_jax.experiment.configs import PretrainConfig
    from physio_mae_jax.experiment.run_metadata import provenance
    from physio_mae_jax.experiment.typed_config import read_config

    known = (*CASES, length_scaling.CASE)
    for name in _BENCHMARKS.value:
        if name not in known:
            raise ConfigError(f"benchmarks must be of {', '.join(known)}; got {name!r}.")
    axes = _axes()
    length_scaling.check_time_mixers(_TIME_MIXERS.value)
    lengths = length_scaling.parse_lengths(_LENGTHS.value)
    bench = build_benchmark(
        read_config(PretrainConfig, _CONFIG.value),
        _CHANNELS.value,
        _REPEATS.value,
        with_data="pipeline" in _BENCHMARKS.value,
    )
    common = {"label": _LABEL.value, "versions": provenance()["versions"]}
    if _FIT_MEMORY_GIB.value:
        _fit_memory(bench, [_gib(text) for text in _FIT_MEMORY_GIB.value])
        return
    if _PROFILE.value:
        _profile(bench, Path(_PROFILE.value))
        return
    machine = describe_machine(bench)
    if axes:
        _sweep(axes, machine | common)
        return
    for name in _BENCHMARKS.value:
        if name == length_scaling.CASE:
            _measure_lengths(lengths, machine | common)
            continue
        _print(
            with_utilization(CASES[name](bench), machine)
            | benchmark_sizes(bench)
            | machine
            | common
        )


def _print(result: JsonObject) -> None:
    line = json.dumps({name: _rounded(value) for name, value in result.items()})
    print(line, flush=True)
    if _OUT.value:
        with Path(_OUT.value).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _rounded(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_rounded(held) for held in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _fit_memory(bench: "BenchmarkSpec", cards_gib: list[float]) -> None:
    """Report which batch fits which GPU memory, for the step as compiled for these devices."""
    from physio_mae_jax.benchmarks.cases import planned_step_gib
    from physio_mae_jax.benchmarks.planning import USABLE_SHARE, plan_batches

    _LOG.info("planning compiles the step for several batch sizes and runs none of them")
    fits, (constant, each) = plan_batches(
        lambda batch: planned_step_gib(dataclasses.replace(bench, batch_size=batch)), cards_gib
    )
    for fit in fits:
        _print({"gpu_memory_gib": fit.card_gib, "batch_size": fit.batch_size,
                "planned_gib": fit.planned_gib})  # fmt: skip
    _LOG.info(
        "a constant %.2f GiB and %.3f GiB a window; %.0f %% of a card is counted as usable",
        *(constant, each, 100 * USABLE_SHARE),
    )


def _axes() -> list["SweepAxis"]:
    """Parse --sweep; errors are raised before anything is measured."""
    from physio_mae_jax.benchmarks.sweep import SweepAxis

    axes = [SweepAxis.parse(text) for text in _SWEEP.value]
    for axis in axes:
        if axis.name != "channels" and not isinstance(_CONFIG.value.get(axis.name), int | float):
            raise ConfigError(
                f"sweep must name channels or a number of the config; got {axis.name!r}."
            )
    return axes


def _sweep(axes: list["SweepAxis"], common: JsonObject) -> None:
    """Measure the training step along each axis."""
    from physio_mae_jax.benchmarks.sweep import measure_growth

    def build(name: str, value: float) -> "BenchmarkSpec":
        if name == "channels":
            return _changed({}, int(value))
        return _changed({name: type(_CONFIG.value[name])(value)}, _CHANNELS.value)

    for axis in axes:
        for line in measure_growth(axis, functools.partial(build, axis.name)):
            _print(line | common)


def _measure_lengths(lengths: list[int], common: JsonObject) -> None:
    """Measure windows of each length with each time mixer."""
    from physio_mae_jax.benchmarks import length_scaling

    def build(mixer: str, length: int) -> "BenchmarkSpec":
        settings = length_scaling.TIME_MIXERS[mixer]
        column = _CONFIG.value.model.patch_samples
        samples = length // column * column
        changes = {f"model.{name}": value for name, value in settings.items()}
        changes["window_seconds"] = samples / _CONFIG.value.sampling_rate_hz
        return _changed(changes, _CHANNELS.value)

    lines = []
    for line in length_scaling.measure_length_scaling(build, _TIME_MIXERS.value, lengths):
        _print(line | common)
        lines.append(line)
    for text in length_scaling.format_table(lines):
        _LOG.info("%s", text)


def _changed(changes: Settings, num_channels: int) -> "BenchmarkSpec":
    """Build the benchmark of the config with other settings."""
    from physio_mae_jax.commands.benchmarking import build_benchmark
    from physio_mae_jax.experiment.configs import PretrainConfig
    from physio_mae_jax.experiment.typed_config import read_config

    config = copy.deepcopy(_CONFIG.value)
    config.update_from_flattened_dict(changes)
    return build_benchmark(
        read_config(PretrainConfig, config), num_channels, _REPEATS.value, with_data=False
    )


def _profile(bench: "BenchmarkSpec", folder: Path) -> None:
    from physio_mae_jax.benchmarks.cases import resident_step
    from physio_mae_jax.benchmarks.profile import profile_calls

    times = profile_calls(resident_step(bench).step, folder)
    total = sum(milliseconds for _, milliseconds in times)
    _LOG.info("a step takes %.2f ms of device time; the trace is in %s", total, folder)
    for name, milliseconds in times[:_SHOWN]:
        _print({"operation": name, "ms": milliseconds, "share": milliseconds / total})


def _gib(text: str) -> float:
    try:
        size = float(text)
    except ValueError as error:
        raise ConfigError(
            f"fit_memory_gib must be sizes in GiB such as 24,40,80; got {text!r}."
        ) from error
    if not 0 < size < math.inf:
        raise ConfigError(f"plan sizes must be above 0 GiB; got {size:g}.")
    return size


def run_command_line() -> None:
    """Run ``main``; an error that the user can fix is printed in one line, without a traceback."""
    flags.mark_flag_as_required("config")
    try:
        app.run(main, flags_parser=lambda argv: parse_flags(argv, _CONFIG))
    except Exception as error:
        sys.exit(report_error(error))


if __name__ == "__main__":
    run_command_line()
