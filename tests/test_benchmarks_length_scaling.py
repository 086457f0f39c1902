"""Costs of windows against their length, for each time mixer."""

import json
import subprocess
import sys

import jax
import pytest

from physio_mae_jax.benchmarks import length_scaling
from physio_mae_jax.benchmarks.length_scaling import Cost
from physio_mae_jax.commands.benchmarking import build_benchmark
from physio_mae_jax.errors import ConfigError
from tests.benchmark_specs import small
from tests.paths import REPOSITORY
from tests.runs import typed


def build(mixer, length, **model):
    config = small(**length_scaling.TIME_MIXERS[mixer], **model)
    config.window_seconds = length / config.sampling_rate_hz
    config.batch_size = 1
    return build_benchmark(typed(config), num_channels=2, repeats=1, with_data=False)


def test_memory_of_attention_grows_faster_than_that_of_the_state_space():
    lines = list(
        length_scaling.measure_length_scaling(build, ["attention", "state_space"], [3000, 12_000])
    )
    grown = {
        (line["program"], line["time_mixer"]): line["memory_exponent"]
        for line in lines
        if "samples" not in line
    }
    for program in ("train", "features"):
        assert grown[program, "state_space"] < 1.1 < grown[program, "attention"]
    measured = {
        (line["program"], line["time_mixer"], line["samples"]): line
        for line in lines
        if "samples" in line
    }
    assert len(measured) == 8
    assert all(line["ms"] > 0 and line["not_run"] == "" for line in measured.values())
    assert measured["train", "attention", 3000]["memory_ratio"] == 1
    assert measured["train", "state_space", 12_000]["memory_ratio"] > 1.1
    table = "\n".join(length_scaling.format_table(lines))
    assert table.count("state_space") == 2 * (2 + 1)


def test_every_time_mixer_is_the_model_that_its_name_says():
    blocks, hybrid = (build(name, 3000, depth=4).model for name in ("blocks", "hybrid_blocks"))
    assert (blocks.time_mixer, blocks.num_time_blocks) == ("attention", 2)
    assert (hybrid.time_mixer, hybrid.num_time_blocks) == ("state_space", 2)
    assert hybrid.attention_every == 4
    assert build("attention", 3000).model.num_time_blocks == 1


def test_exponents_are_those_of_the_last_factor_of_ten():
    costs = {
        100: Cost(7.0, 900.0, 1.0),
        1000: Cost(1.0, 1.0, 1.0),
        3160: Cost(3.16, 3.16**2, 1.0),
        9990: Cost(9.99, None, 1.0, "time"),
    }
    found = length_scaling.exponents(costs)
    assert found["memory_exponent"] == pytest.approx(1, abs=0.01)
    assert found["memory_exponent_lengths"] == [1000, 3160, 9990]
    assert found["time_exponent"] == pytest.approx(2)
    assert length_scaling.exponents({100: Cost(None, None, None, "memory")}) == {
        "time_exponent": None,
        "time_exponent_lengths": [],
        "memory_exponent": None,
        "memory_exponent_lengths": [],
    }


def test_what_does_not_fit_is_planned_and_not_run(monkeypatch):
    monkeypatch.setattr(length_scaling, "available_bytes", lambda: 1000)
    lines = list(length_scaling.measure_length_scaling(build, ["state_space"], [600]))
    assert [line["not_run"] for line in lines if "samples" in line] == ["memory"] * 2
    assert all(line["planned_gib"] > 0 and line["ms"] is None for line in lines if "ms" in line)


def test_a_compiler_out_of_memory_is_not_an_error(monkeypatch):
    def fail(message):
        def measure(bench):
            raise jax.errors.JaxRuntimeError(message)

        monkeypatch.setitem(length_scaling._PROGRAMS, "train", measure)
        return next(length_scaling.measure_length_scaling(build, ["state_space"], [600]))

    line = fail("RESOURCE_EXHAUSTED: 900 GiB")
    assert (line["planned_gib"], line["not_run"]) == (None, "memory")
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        fail("INTERNAL: broken")


def test_longer_windows_of_a_slow_program_are_only_planned(monkeypatch):
    monkeypatch.setattr(length_scaling, "_LONGEST_STEP_S", 0.0)
    lines = length_scaling.measure_length_scaling(build, ["state_space"], [600, 1200])
    first, second = next(lines), next(lines)
    assert (first["not_run"], second["not_run"], second["ms"]) == ("", "time", None)


@pytest.mark.parametrize("texts", [[], ["0"], ["30", "10"], ["3e3"], ["10", "10"]])
def test_lengths_that_do_not_rise_are_rejected(texts):
    with pytest.raises(ConfigError, match="lengths must be rising"):
        length_scaling.parse_lengths(texts)


def test_an_unknown_time_mixer_is_rejected():
    with pytest.raises(ConfigError, match=r"of attention, blocks, state_space, .*; got 'mamba'"):
        length_scaling.check_time_mixers(["blocks", "mamba"])


def test_the_command_prints_a_line_for_each_window():
    result = subprocess.run(
        [
            *(sys.executable, "-m", "physio_mae_jax.benchmark"),
            *("--config=configs/pretrain.py:preset=debug,variant=v31", "--config.batch_size=1"),
            *("--benchmarks=length", "--lengths=310", "--time_mixers=state_space"),
            *("--channels=1", "--repeats=1"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {line["case"] for line in lines} == {"length"}
    assert {line["samples"] for line in lines if "samples" in line} == {300}
    assert "attention / GiB" in result.stderr
