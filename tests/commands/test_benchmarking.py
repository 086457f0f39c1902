"""Benchmark cases of a config measure, and say what."""

import json

import pytest

from physio_mae_jax.benchmarks import cases
from physio_mae_jax.commands.benchmarking import build_benchmark
from physio_mae_jax.errors import ConfigError
from tests.benchmark_specs import small
from tests.runs import typed


def test_every_case_measures_and_says_what():
    bench = build_benchmark(typed(small()), num_channels=2, repeats=1, with_data=False)
    for name in ("train", "features", "wavelets"):
        result = cases.CASES[name](bench)
        assert result["case"] == name
        assert result["samples_per_s"] * result["ms"] / 1e3 == pytest.approx(bench.batch_size)
        json.dumps(result)
    machine = cases.describe_machine(bench)
    shown = cases.with_utilization({"tflop_per_s": machine["product_tflop_per_s"] / 2}, machine)
    assert shown["utilization"] == pytest.approx(0.5)


def test_real_batches_feed_the_step():
    bench = build_benchmark(typed(small()), num_channels=2, repeats=1, with_data=True)
    assert bench.num_channels == 3  # of the data, whatever was asked for
    result = cases.measure_pipeline(bench)
    assert result["pipeline_samples_per_s"] > 0
    assert result["fed_over_resident"] > 0


def test_wrong_numbers_are_rejected():
    with pytest.raises(ConfigError, match="channels=0"):
        build_benchmark(typed(small()), num_channels=0, repeats=1, with_data=False)
