"""The device mesh: batches split over all devices, the state replicated or sharded over 'fsdp'."""

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.types import Arrays, PyTree

DATA_AXIS = "data"
FSDP_AXIS = "fsdp"
# Smaller arrays are replicated: gathering them would cost more than it saves.
_MIN_SIZE_TO_SHARD = 2**14

_State = TypeVar("_State")
_Batch = TypeVar("_Batch")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def make_mesh(
    num_devices: int | None = None,
    fsdp: int = 1,
    among: Sequence[jax.Device] | None = None,
) -> Mesh:
    """Arrange devices in a mesh with axes ('data', 'fsdp').

    Args:
        num_devices: Number of devices, the first ones; None for all.
        fsdp: Number of devices that share one copy of the state; 1 replicates it.
        among: Devices to choose from; None for those of all processes.
    """
    devices = (jax.devices() if among is None else among)[:num_devices]
    # Auto: the default, Explicit, rejects the gathers of masked columns.
    return jax.make_mesh(
        (len(devices) // fsdp, fsdp),
        (DATA_AXIS, FSDP_AXIS),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=devices,
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Replicate on each device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Split the first axis over all devices."""
    return NamedSharding(mesh, PartitionSpec((DATA_AXIS, FSDP_AXIS)))


def fsdp_sharding(tree: PyTree, mesh: Mesh) -> PyTree:
    """Return the sharding of each array of a state, or of parameters.

    Large arrays are split along their longest axis that the 'fsdp' axis divides; small and
    indivisible ones are replicated. Optimizer moments have the shapes of the parameters and are
    therefore split in the same way.

    Args:
        tree: Tree of arrays or their shapes.
        mesh: Device mesh with an 'fsdp' axis.

    Returns:
        Tree of shardings.
    """
    num_shards = mesh.shape[FSDP_AXIS]

    def sharding(leaf: jax.Array) -> NamedSharding:
        axes = [axis for axis, size in enumerate(leaf.shape) if size % num_shards == 0]
        if num_shards == 1 or not axes or leaf.size < _MIN_SIZE_TO_SHARD:
            return replicated(mesh)
        longest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * longest, FSDP_AXIS))

    return jax.tree.map(sharding, tree)


def initialize_state(init: Callable[[jax.Array], _State], key: jax.Array, mesh: Mesh) -> _State:
    """Initialize a state directly in the shards of ``fsdp_sharding``."""
    shapes = jax.eval_shape(init, key)
    return jax.jit(init, out_shardings=fsdp_sharding(shapes, mesh))(key)


def fsdp_constraint(state: _State, mesh: Mesh) -> _State:
    """Within a compiled function: constrain a state to ``fsdp_sharding``."""
    return jax.lax.with_sharding_constraint(state, fsdp_sharding(state, mesh))


def shard(tree: PyTree, shardings: PyTree) -> PyTree:
    """Copy arrays that are available in every process to the devices, one shard each.

    Args:
        tree: Tree of arrays that this process can read.
        shardings: One sharding for all, or a tree of them.
    """
    if isinstance(shardings, NamedSharding):
        shardings = jax.tree.map(lambda _: shardings, tree)

    def spread(leaf: np.ndarray | jax.Array, sharding: NamedSharding) -> jax.Array:
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(spread, tree, shardings)


def with_mesh(function: Callable[_Arguments, _Result], mesh: Mesh) -> Callable[_Arguments, _Result]:
    """Make the mesh available inside a function to be jitted, as ``signals.wavelet`` needs."""

    @functools.wraps(function)
    def call_with_mesh(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return call_with_mesh


def mean_over_devices(
    function: Callable[[_State, _Batch], _Result], state: _State, batch: _Batch
) -> _Result:
    """Average the results of each device over its own examples, within a ``with_mesh`` function.

    For a function that averages over examples, with equally many on each device: gradients are
    exchanged once instead of once per micro-batch, and each device runs the same program as in a
    single-device run. With FSDP, the compiler partitions the work instead.

    Args:
        function: Maps a state and examples to sums or means, which are averaged.
        state: State, replicated on each device.
        batch: Tree of arrays [B, …].
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1 or mesh.shape[FSDP_AXIS] > 1:
        return function(state, batch)

    def mean_over_own_examples(state: _State, batch: _Batch) -> _Result:
        return jax.lax.pmean(function(state, batch), mesh.axis_names)

    replicated_spec, batch_spec = PartitionSpec(), PartitionSpec(mesh.axis_names)
    # Kernels do not declare the axes over which their results vary, so the check is disabled.
    averaged: _Result = jax.shard_map(
        mean_over_own_examples,
        mesh=mesh,
        in_specs=(replicated_spec, batch_spec),
        out_specs=replicated_spec,
        check_vma=False,
    )(state, batch)
    return averaged


def compile_update(
    update: Callable[[_State, _Batch], tuple[_State, _Result]],
    mesh: Mesh,
    compiler_options: dict[str, bool] | None = None,
) -> Callable[[_State, _Batch], tuple[_State, _Result]]:
    """Jit a training step over a mesh: the state stays sharded as in ``fsdp_sharding``.

    Args:
        update: Maps a state and a batch to the next state and metrics.
        mesh: Device mesh the batch is sharded over; metrics are replicated.
        compiler_options: Options of the XLA compiler.

    Returns:
        The compiled step; the state passed in is donated.
    """

    def step(state: _State, batch: _Batch) -> tuple[_State, _Result]:
        state, metrics = update(state, batch)
        return fsdp_constraint(state, mesh), metrics

    return jax.jit(
        with_mesh(step, mesh),
        in_shardings=(None, batch_sharding(mesh)),
        out_shardings=(None, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options,
    )


def shard_batch(batch: Arrays, mesh: Mesh) -> dict[str, jax.Array]:
    """Join each process's part [local B, …] into global arrays [B, …] on the devices."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


def check_devices(num_devices: int, fsdp: int) -> None:
    """Reject an invalid mesh.

    Raises:
        ConfigError: 'fsdp' does not divide the devices.
    """
    if fsdp < 1 or num_devices % fsdp:
        raise ConfigError(
            f"fsdp={fsdp} does not divide the {num_devices} devices; use 1 to replicate the "
            "parameters, or a divisor."
        )


def check_batch_size(batch_size: int, accumulation_steps: int, num_devices: int) -> None:
    """Reject a batch that cannot be split evenly.

    Raises:
        ConfigError: The batch is not a multiple of devices × accumulation steps.
    """
    required_multiple = num_devices * accumulation_steps
    if accumulation_steps < 1 or batch_size < 1 or batch_size % required_multiple:
        raise ConfigError(
            f"batch_size={batch_size} is not a multiple of {num_devices} devices × "
            f"accumulation_steps={accumulation_steps}; use a multiple of {required_multiple}, for "
            "example "
            f"{max(1, round(batch_size / max(1, required_multiple))) * max(1, required_multiple)}."
        )
