"""Benchmark cases: training step, features, wavelets, pipeline, import, long recordings, edge."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from physio_mae_jax.benchmarks import flops
from physio_mae_jax.benchmarks.edge import edge_case
from physio_mae_jax.benchmarks.import_time import import_seconds
from physio_mae_jax.benchmarks.long_recordings import measure_lengths
from physio_mae_jax.benchmarks.scaling import count_collectives
from physio_mae_jax.benchmarks.timing import (
    Timing,
    allocator_peak_gib,
    planned_gib,
    product_rate,
    time_calls,
)
from physio_mae_jax.inference.compiled_encoder import encode_windows
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.encoder import TransformerEncoder
from physio_mae_jax.models.pooling import pool_tokens
from physio_mae_jax.models.window_batch import CHANNEL_ENTRIES, Windows
from physio_mae_jax.signals import wavelet
from physio_mae_jax.training.pretrain_step import (
    MODEL_INPUTS,
    PretrainSpec,
    compile_train_step,
    init_state,
)
from physio_mae_jax.training.sharding import (
    batch_sharding,
    fsdp_sharding,
    initialize_state,
    replicated,
    shard_batch,
    with_mesh,
)
from physio_mae_jax.training.state import TrainState
from physio_mae_jax.types import JsonMapping, JsonObject, Params, PyTree

# Distinct inputs that alternate, so that no measurement runs on cached data.
_NUM_INPUTS = 4
# More batches than the reader prefetches, which are there at once.
_PREFETCHED = 32
_PRODUCT_SIZE = {"gpu": 8192, "tpu": 8192, "cpu": 1024}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkSpec:
    """Specification of a benchmark.

    Attributes:
        spec: Pre-training spec.
        mesh: Device mesh the batch is sharded over.
        batch_size: Windows per step, over all devices.
        num_channels: Number of channels M.
        seen: Visible and predicted tokens under the mask.
        repeats: Repeats of every timing.
        batches: Batches of real data, for the case 'pipeline'; None without data.
    """

    spec: PretrainSpec
    mesh: Mesh
    batch_size: int
    num_channels: int
    seen: flops.TokenCounts
    repeats: int
    batches: Callable[[], Iterator[Mapping[str, np.ndarray]]] | None = None

    @property
    def model(self) -> MaeConfig:
        """Config of the model."""
        return self.spec.model.config


def benchmark_sizes(bench: BenchmarkSpec) -> JsonObject:
    """Return the sizes reported in an output line."""
    return {
        "batch_size": bench.batch_size,
        "channels": bench.num_channels,
        "samples": bench.model.num_samples,
        "repeats": bench.repeats,
    }


def random_batch(bench: BenchmarkSpec, seed: int) -> dict[str, jax.Array]:
    """Create a batch of noise on the devices: signal [B, M, L], all channels present."""
    shape = (bench.batch_size, bench.num_channels)
    rng = np.random.default_rng(seed)
    batch = {
        "signal": rng.standard_normal((*shape, bench.model.num_samples), np.float32),
        "channel_mask": np.ones(shape, bool),
        "channel_ids": np.broadcast_to(np.arange(shape[1], dtype=np.int32) + 1, shape).copy(),
        "subject": np.arange(shape[0], dtype=np.int32),
    }
    return shard_batch({name: batch[name] for name in MODEL_INPUTS}, bench.mesh)


def measure_training(bench: BenchmarkSpec) -> JsonObject:
    """Time the compiled training step on resident batches."""
    resident = resident_step(bench)
    timing = time_calls(resident.step, bench.repeats)
    operations = flops.training_operations(bench.model, bench.num_channels, bench.seen)
    return {
        "case": "train",
        **_rates(bench, timing, operations.training),
        "compile_s": resident.compile_seconds,
        "planned_gib": planned_gib(resident.compiled),
        "collectives": count_collectives(resident.compiled.as_text() or ""),
        "parameters": resident.num_parameters,
    }


class ResidentStep(NamedTuple):
    """A compiled training step, or another program, on device-resident batches.

    Attributes:
        step: Runs update number i and returns its metrics, or call number i of the program.
        compiled: Compiled program.
        compile_seconds: Compilation time in seconds.
        num_parameters: Number of model parameters.
    """

    step: Callable[[int], object]
    compiled: jax.stages.Compiled
    compile_seconds: float
    num_parameters: int


def resident_step(bench: BenchmarkSpec) -> ResidentStep:
    """Compile the training step on alternating batches of noise."""
    batches = [random_batch(bench, seed) for seed in range(_NUM_INPUTS)]
    state = _new_state(bench)
    begun = time.perf_counter()
    compiled = _compiled_step(bench, state, batches[0])
    seconds = time.perf_counter() - begun
    update = _updating(compiled, state)
    return ResidentStep(
        step=lambda number: update(batches[number % _NUM_INPUTS]),
        compiled=compiled,
        compile_seconds=seconds,
        num_parameters=sum(leaf.size for leaf in jax.tree.leaves(state.params)),
    )


def planned_step_gib(bench: BenchmarkSpec) -> float:
    """Return the planned memory of the compiled step per device, in GiB, without running it."""
    state = jax.eval_shape(functools.partial(init_state, bench.spec), jax.random.key(0))
    shardings = fsdp_sharding(state, bench.mesh)
    state = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        state,
        shardings,
    )
    shape, samples = (bench.batch_size, bench.num_channels), bench.model.num_samples
    batch = {
        "signal": jax.ShapeDtypeStruct((*shape, samples), jnp.float32),
        "channel_mask": jax.ShapeDtypeStruct(shape, bool),
        "channel_ids": jax.ShapeDtypeStruct(shape, jnp.int32),
        "subject": jax.ShapeDtypeStruct(shape[:1], jnp.int32),
    }
    return planned_gib(_compiled_step(bench, state, batch))["peak"]


def _new_state(bench: BenchmarkSpec) -> TrainState:
    init = functools.partial(init_state, bench.spec)
    return initialize_state(init, jax.random.key(0), bench.mesh)


def _compiled_step(bench: BenchmarkSpec, state: PyTree, batch: PyTree) -> jax.stages.Compiled:
    # A jitted function, although its type is only Callable.
    step = cast(jax.stages.Wrapped, compile_train_step(bench.spec, bench.mesh))
    return step.lower(state, batch).compile()


def _updating(
    compiled: jax.stages.Compiled, state: PyTree
) -> Callable[[dict[str, jax.Array]], object]:
    """Return the step as a function of a batch that holds the state internally."""

    def update(batch: dict[str, jax.Array]) -> object:
        nonlocal state
        state, metrics = compiled(state, batch)
        return metrics

    return update


def measure_features(bench: BenchmarkSpec) -> JsonObject:
    """Time feature extraction: the mean token of whole windows."""
    resident = resident_features(bench)
    timing = time_calls(resident.step, bench.repeats)
    operations = flops.feature_operations(bench.model, bench.num_channels)
    return {
        "case": "features",
        **_rates(bench, timing, operations.wavelets + operations.model),
        "compile_s": resident.compile_seconds,
        "planned_gib": planned_gib(resident.compiled),
    }


def resident_features(bench: BenchmarkSpec) -> ResidentStep:
    """Compile feature extraction on alternating batches of noise."""
    model = bench.model.for_inference()
    encoder = TransformerEncoder(model)
    batches = [random_batch(bench, seed) for seed in range(_NUM_INPUTS)]

    def extract(params: Params, batch: Mapping[str, jax.Array]) -> jax.Array:
        latents = encode_windows(model, params, batch, channel_independent=False)
        return pool_tokens(latents, batch["channel_mask"][:, :, None, None])

    first = Windows.of(batches[0])
    params = jax.jit(
        lambda key: encoder.init(key, first, method="grid"), out_shardings=replicated(bench.mesh)
    )(jax.random.key(0))["params"]
    sharding = (replicated(bench.mesh), batch_sharding(bench.mesh))
    batches = [{name: batch[name] for name in CHANNEL_ENTRIES} for batch in batches]
    begun = time.perf_counter()
    compiled = (
        jax.jit(
            with_mesh(extract, bench.mesh),
            in_shardings=sharding,
            compiler_options=model.compiler_options,
        )
        .lower(params, batches[0])
        .compile()
    )
    return ResidentStep(
        step=lambda number: compiled(params, batches[number % _NUM_INPUTS]),
        compiled=compiled,
        compile_seconds=time.perf_counter() - begun,
        num_parameters=sum(leaf.size for leaf in jax.tree.leaves(params)),
    )


def measure_wavelets(bench: BenchmarkSpec) -> JsonObject:
    """Time the normalized scalogram of a batch, written to memory in full."""
    cfg = bench.model

    def transform(signal: jax.Array) -> jax.Array:
        return wavelet.scalogram(
            signal, cfg.wavelet, cfg.sampling_rate_hz, method=cfg.wavelet_method
        )

    compiled = jax.jit(with_mesh(transform, bench.mesh))
    signals = [random_batch(bench, seed)["signal"] for seed in range(_NUM_INPUTS)]
    timing = time_calls(lambda n: compiled(signals[n % _NUM_INPUTS]), bench.repeats)
    operations = flops.wavelet_operations(cfg, bench.num_channels)
    return {"case": "wavelets", **_rates(bench, timing, operations, utilization=False)}


def measure_pipeline(bench: BenchmarkSpec) -> JsonObject:
    """Time the pipeline alone, and the step on real batches against one on resident batches."""
    assert bench.batches is not None
    batches = iter(bench.batches())
    first = next(batches)
    for _ in range(_PREFETCHED):
        next(batches)
    alone = time_calls(lambda _: next(batches), bench.repeats).seconds
    state = _new_state(bench)
    resident = shard_batch({name: first[name] for name in MODEL_INPUTS}, bench.mesh)
    step = _updating(_compiled_step(bench, state, resident), state)
    kept = time_calls(lambda _: step(resident), bench.repeats)

    def next_batch() -> dict[str, jax.Array]:
        batch = next(batches)
        return shard_batch({name: batch[name] for name in MODEL_INPUTS}, bench.mesh)

    fed = time_calls(lambda _: step(next_batch()), bench.repeats)
    return {
        "case": "pipeline",
        "pipeline_samples_per_s": bench.batch_size / alone,
        "resident_step_ms": 1e3 * kept.seconds,
        "fed_step_ms": 1e3 * fed.seconds,
        "fed_over_resident": fed.seconds / kept.seconds,
    }


def measure_import(bench: BenchmarkSpec) -> JsonObject:
    """Time the import of the encoder in new processes."""
    taken = import_seconds(bench.repeats)
    return {"case": "import", "jax_import_s": taken.jax, "encoder_import_s": taken.encoder}


def measure_long(bench: BenchmarkSpec) -> JsonObject:
    """Encode long recordings from files, each in a new process."""
    found = measure_lengths(bench.spec, bench.batch_size)
    return {"case": "long", "recordings": [one._asdict() for one in found]}


def measure_edge(bench: BenchmarkSpec) -> JsonObject:
    """Time a window of the shipped models on one core; the config has no effect."""
    return edge_case(bench.repeats)


CASES: Mapping[str, Callable[[BenchmarkSpec], JsonObject]] = {
    "train": measure_training,
    "features": measure_features,
    "wavelets": measure_wavelets,
    "pipeline": measure_pipeline,
    "import": measure_import,
    "long": measure_long,
    "edge": measure_edge,
}


def describe_machine(bench: BenchmarkSpec) -> JsonObject:
    """Return the devices, and the matmul rate reached on one of them, in TFLOP/s."""
    device = bench.mesh.devices.flat[0]
    size = _PRODUCT_SIZE.get(device.platform, 1024)
    dtype = jnp.bfloat16 if bench.model.compute_dtype == "bfloat16" else jnp.float32
    return {
        "device": device.device_kind,
        "num_devices": bench.mesh.devices.size,
        "product_tflop_per_s": product_rate(size, dtype, bench.repeats) / 1e12,
    }


def with_utilization(result: JsonObject, machine: JsonMapping) -> JsonObject:
    """Add the model's FLOP rate as a share of the matmul rate of all devices."""
    if "tflop_per_s" not in result:
        return result
    limit = machine["product_tflop_per_s"] * machine["num_devices"]
    return result | {"utilization": result["tflop_per_s"] / limit}


def _rates(
    bench: BenchmarkSpec, timing: Timing, operations: float, *, utilization: bool = True
) -> JsonObject:
    rates: JsonObject = {
        "samples_per_s": bench.batch_size / timing.seconds,
        "ms": 1e3 * timing.seconds,
        "spread": timing.spread,
        "gflop_per_sample": operations / 1e9,
        "allocator_peak_gib": allocator_peak_gib(bench.mesh.devices.flat[0]),
    }
    if utilization:
        rates["tflop_per_s"] = operations * bench.batch_size / timing.seconds / 1e12
    return rates
