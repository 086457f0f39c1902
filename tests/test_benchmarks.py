"""Operations counted, steps timed, memory planned."""

import dataclasses
import gzip
import json
import math

import jax
import jax.extend
import jax.numpy as jnp
import pytest

from physio_mae_jax.benchmarks import cases, flops, sweep
from physio_mae_jax.benchmarks.planning import USABLE_SHARE, plan_batches
from physio_mae_jax.benchmarks.profile import operation_times, profile_calls
from physio_mae_jax.benchmarks.scaling import count_collectives, exchanged_bytes
from physio_mae_jax.benchmarks.timing import time_calls
from physio_mae_jax.commands.benchmarking import build_benchmark, token_counts
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.pretrain_spec import build_pretrain_spec
from physio_mae_jax.models.window_batch import Windows
from tests.benchmark_specs import small
from tests.runs import typed


def count_products(jaxpr):
    """Sum 2·m·k·n of every product in a traced function, loops as often as they run."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            depth = math.prod(left[axis] for axis in contracted)
            total += 2 * depth * math.prod(equation.outvars[0].aval.shape)
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            total += times * count_products(inner)
    return total


@pytest.mark.parametrize(
    ("argument", "changes", "channels"),
    [
        ("preset=debug", {"depth": 3}, 3),
        ("preset=debug", {"depth": 2, "channel_attention": False}, 2),
        ("preset=debug", {"waveform_branch": False}, 1),
        ("preset=debug", {"attention_block_seconds": 0.7}, 2),
        ("preset=debug", {"decoder_attention": "joint"}, 2),
        ("preset=debug", {"mlp_rank_ratio": 0.3, "attention_rank_ratio": 0.5, "width": 96}, 2),
        ("preset=debug,variant=v1", {"class_token": False}, 2),
        ("preset=debug,mask=random_rows", {}, 2),
    ],
)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_counted_operations_are_the_products_of_the_model(argument, changes, channels, share):
    config = small(argument, **changes)
    if share < 1.0:
        if argument != "preset=debug" or "decoder_attention" in changes:
            pytest.skip("this model predicts all masked columns")
        config.objective.predicted_share = share
    task = build_pretrain_spec(typed(config))
    counted = flops.training_operations(task.model.config, channels, token_counts(task, channels))
    shape, samples = (1, channels), task.model.config.num_samples
    mask = task.training_mask(jax.random.key(0), {"channel_mask": jnp.ones(shape, bool)})
    args = (Windows.blank(*shape, samples), mask.visible_ids, mask.predicted_ids)
    params = jax.eval_shape(lambda: task.model.init(jax.random.key(0), *args))
    traced = jax.make_jaxpr(lambda p: task.model.apply(p, *args))(params)
    assert count_products(traced.jaxpr) == counted.model
    assert counted.training == counted.wavelets + 3 * counted.model


def test_features_are_counted_as_the_encoder_over_everything():
    cfg = build_pretrain_spec(typed(small(depth=2))).model.config
    whole = flops.training_operations(
        cfg, 2, flops.TokenCounts(cfg.num_tokens, *[cfg.num_columns] * 3)
    )
    features = flops.feature_operations(cfg, 2)
    assert (features.encoder, features.tokenizer) == (whole.encoder, whole.tokenizer)
    assert features.decoder == features.heads == 0


def test_time_is_the_median_over_repeats_of_work_that_is_done():
    numbers = []
    timing = time_calls(lambda number: numbers.append(number), repeats=3)
    assert len(timing.repeats) == 3
    assert numbers == list(range(len(numbers)))
    assert timing.seconds == sorted(timing.repeats)[1]
    double = jax.jit(lambda x: x @ x)
    small_one, large_one = jnp.ones((8, 8)), jnp.ones((600, 600))
    slow, fast = (time_calls(lambda _, x=x: double(x), 3) for x in (large_one, small_one))
    assert slow.seconds > fast.seconds


def test_the_import_of_the_encoder_is_measured_in_new_processes():
    bench = build_benchmark(typed(small()), num_channels=2, repeats=1, with_data=False)
    result = cases.CASES["import"](bench)
    assert result["case"] == "import"
    assert result["jax_import_s"] > 0
    assert result["encoder_import_s"] > 0


def test_planning_finds_the_largest_batch_that_fits():
    tried = []

    def planned(batch):
        tried.append(batch)
        return 2.0 + 0.5 * batch + 0.001 * batch**1.5  # a little more than linear

    fits, (constant, each) = plan_batches(planned, [1.0, 24.0, 80.0])
    assert fits[0].batch_size == 0
    for fit in fits[1:]:
        assert fit.planned_gib <= USABLE_SHARE * fit.card_gib
        assert planned(fit.batch_size + 3) > USABLE_SHARE * fit.card_gib
    assert constant == pytest.approx(2.0, abs=0.01)
    assert each == pytest.approx(0.5, abs=0.01)


def test_the_plan_of_a_step_grows_with_its_batch_and_runs_nothing():
    config = small(waveform_branch=False, channel_attention=False, channel_smoothing=False)
    bench = build_benchmark(typed(config), num_channels=2, repeats=1, with_data=False)
    few, many = (
        cases.planned_step_gib(dataclasses.replace(bench, batch_size=size)) for size in (2, 16)
    )
    assert 0 < few < many < 100 * few


@pytest.fixture(scope="module")
def alone():
    """The step of one device."""
    bench = build_benchmark(typed(small()), num_channels=2, repeats=1, with_data=False)
    return cases.resident_step(bench)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        # As on a GPU: micro-batches, unrolled layers, rematerialized elementwise operations.
        {"accumulation_steps": 2, "unroll_layers": True, "remat": "elementwise"},
    ],
)
def test_data_parallelism_exchanges_gradients_once_and_nothing_else(changes, alone):
    config = small()
    for name, value in changes.items():
        (config if name in config else config.model)[name] = value
    config.num_devices = 4
    bench = build_benchmark(typed(config), num_channels=2, repeats=1, with_data=False)
    resident = cases.resident_step(bench)
    program = resident.compiled.as_text()
    assert count_collectives(program) == {"all-reduce": 1}
    gradients = 4 * resident.num_parameters
    # Losses go with the gradients; of two that are equal, the compiler may send one.
    assert 0.99 * gradients <= exchanged_bytes(program)["all-reduce"] <= 1.01 * gradients + 4096
    assert count_collectives(alone.compiled.as_text()) == {}


def test_growth_is_the_slope_in_logarithms():
    sizes = [1, 2, 4, 8]
    assert sweep.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)


def test_memory_of_a_step_grows_with_its_channels():
    axis = sweep.SweepAxis.parse("channels=4,8")

    def build(value):
        return build_benchmark(typed(small()), num_channels=int(value), repeats=1, with_data=False)

    few, many, grown = sweep.measure_growth(axis, build)
    assert (few["value"], many["value"], grown["fitted_to"]) == (4, 8, [4, 8])
    assert few["planned_gib"]["temporaries"] < many["planned_gib"]["temporaries"]
    assert 0.5 < grown["memory_exponent"] < 1.5


@pytest.mark.parametrize("text", ["channels", "channels=4", "channels=8,4", "=1,2", "channels=a,b"])
def test_an_axis_that_cannot_be_read_is_rejected(text):
    with pytest.raises(ConfigError, match="grow="):
        sweep.SweepAxis.parse(text)


def test_collectives_are_read_from_a_program():
    program = """
      %a = f32[4,8]{1,0} all-reduce(f32[4,8]{1,0} %x), replica_groups={}
      %b = (bf16[2]{0}, f32[]) all-gather-start(bf16[1]{0} %y), dimensions={0}
      %c = f32[] add(f32[] %all-reduce, f32[] %d)
    """
    assert count_collectives(program) == {"all-reduce": 1, "all-gather": 1}
    assert exchanged_bytes(program) == {"all-reduce": 128, "all-gather": 8}


def test_a_profile_names_the_dearest_operations(tmp_path):
    times = profile_calls(jax.jit(lambda _: jnp.ones((300, 300)) @ jnp.ones((300, 300))), tmp_path)
    assert times
    assert [ms for _, ms in times] == sorted((ms for _, ms in times), reverse=True)
    trace = next(tmp_path.rglob("*.trace.json.gz"))
    with gzip.open(trace, "rt") as file:
        assert json.load(file)["traceEvents"]


def test_operations_of_devices_are_summed_and_the_host_excluded():
    events = [
        {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "/device:GPU:0"}},
        {"ph": "M", "pid": 2, "name": "process_name", "args": {"name": "/host:CPU"}},
        {"ph": "X", "pid": 1, "name": "gemm", "dur": 5},
        {"ph": "X", "pid": 1, "name": "gemm", "dur": 6},
        {"ph": "X", "pid": 2, "name": "python", "dur": 100},
    ]
    assert operation_times(events) == {"gemm": 11}
