"""The device mesh: batches split over all devices, the state whole on each or cut along 'fsdp'."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from physio_mae_jax.errors import ConfigError

DATA_AXIS = "data"
FSDP_AXIS = "fsdp"
# Arrays of fewer elements stay whole: gathering them would cost more than they take.
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
    """Lay devices out as ('data', 'fsdp').

    Args:
        num_devices: the first so many; None for all.
        fsdp: devices that share one copy of the state; 1 gives each its own.
        among: which; None for those of all processes.
    """
    devices = (jax.devices() if among is None else among)[:num_devices]
    # Auto: the default, Explicit, refuses the gathers of masked columns.
    return jax.make_mesh(
        (len(devices) // fsdp, fsdp),
        (DATA_AXIS, FSDP_AXIS),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=devices,
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Keep a whole copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Split the first axis over all devices."""
    return NamedSharding(mesh, PartitionSpec((DATA_AXIS, FSDP_AXIS)))


def fsdp_sharding(tree: Any, mesh: Mesh) -> Any:
    """Say where each array of a state, or of parameters, is kept.

    Large ones are cut along their longest axis that the 'fsdp' devices divide, small ones and those
    that nothing divides are whole on each device. An optimizer's moments are shaped like the
    parameters, so they are cut like them.

    Args:
        tree: of arrays or their shapes.
        mesh: of devices.

    Returns:
        A tree of shardings.
    """
    parts = mesh.shape[FSDP_AXIS]

    def place(leaf: Any) -> NamedSharding:
        axes = [axis for axis, size in enumerate(leaf.shape) if size % parts == 0]
        if parts == 1 or not axes or leaf.size < _MIN_SIZE_TO_SHARD:
            return replicated(mesh)
        longest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * longest, FSDP_AXIS))

    return jax.tree.map(place, tree)


def initialise(init: Callable[[jax.Array], _State], key: jax.Array, mesh: Mesh) -> _State:
    """Make a state where ``fsdp_sharding`` keeps it, nowhere whole."""
    shapes = jax.eval_shape(init, key)
    return jax.jit(init, out_shardings=fsdp_sharding(shapes, mesh))(key)


def keep_by_size(state: _State, mesh: Mesh) -> _State:
    """Within a compiled function: leave a state where ``fsdp_sharding`` keeps it."""
    return jax.lax.with_sharding_constraint(state, fsdp_sharding(state, mesh))


def put(tree: Any, shardings: Any) -> Any:
    """Put arrays that every process has onto the devices, each device its part.

    Args:
        tree: of arrays that this process can read.
        shardings: one for all, or a tree of them.
    """
    if isinstance(shardings, NamedSharding):
        shardings = jax.tree.map(lambda _: shardings, tree)

    def spread(leaf: Any, sharding: NamedSharding) -> jax.Array:
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(spread, tree, shardings)


def with_mesh(function: Callable[_Arguments, _Result], mesh: Mesh) -> Callable[_Arguments, _Result]:
    """Let a function that is to be jitted know its mesh, as ``signals.wavelet`` asks for."""

    @functools.wraps(function)
    def knowing(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return knowing


def mean_over_devices(
    function: Callable[[_State, _Batch], _Result], state: _State, batch: _Batch
) -> _Result:
    """Average the results of each device over its own examples, within a ``with_mesh`` function.

    For a function that averages over examples, of which each device has as many: so that gradients
    are exchanged once, and not by each micro-batch, and each device runs the program it would run
    alone. Where devices share a state the compiler divides the work instead.

    Args:
        function: of a state and examples, to sums or means of which the mean is wanted.
        state: whole on each device.
        batch: a tree of [B, …].
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1 or mesh.shape[FSDP_AXIS] > 1:
        return function(state, batch)

    def own(state: _State, batch: _Batch) -> _Result:
        return jax.lax.pmean(function(state, batch), mesh.axis_names)

    whole, split = PartitionSpec(), PartitionSpec(mesh.axis_names)
    # Kernels do not say over which axes their results vary, so that is not checked.
    averaged: _Result = jax.shard_map(
        own, mesh=mesh, in_specs=(whole, split), out_specs=whole, check_vma=False
    )(state, batch)
    return averaged


def compile_update(
    update: Callable[[_State, _Batch], tuple[_State, _Result]],
    mesh: Mesh,
    compiler_options: dict[str, bool] | None = None,
) -> Callable[[_State, _Batch], tuple[_State, _Result]]:
    """Jit a training step over a mesh: the state stays where ``fsdp_sharding`` keeps it.

    Args:
        update: from a state and a batch to the next state and metrics.
        mesh: of devices; batches are split over it, metrics are whole on each device.
        compiler_options: what XLA is told.

    Returns:
        the compiled step; the state passed in is donated.
    """

    def step(state: _State, batch: _Batch) -> tuple[_State, _Result]:
        state, metrics = update(state, batch)
        return keep_by_size(state, mesh), metrics

    return jax.jit(
        with_mesh(step, mesh),
        in_shardings=(None, batch_sharding(mesh)),
        out_shardings=(None, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options,
    )


def put_batch(batch: dict[str, Any], mesh: Mesh) -> dict[str, jax.Array]:
    """Join each process's share [local B, …] into global arrays [B, …] on the devices."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


def check_devices(num_devices: int, fsdp: int) -> None:
    """Refuse a mesh that cannot be laid out.

    Raises:
        ConfigError: 'fsdp' does not divide the devices.
    """
    if fsdp < 1 or num_devices % fsdp:
        raise ConfigError(
            f"fsdp={fsdp} does not divide the {num_devices} devices; use 1 to keep the parameters "
            "whole on each, or a divisor."
        )


def check_batch_size(batch_size: int, accumulation_steps: int, num_devices: int) -> None:
    """Refuse a batch that cannot be split evenly.

    Raises:
        ConfigError: not a multiple of devices × accumulation steps.
    """
    unit = num_devices * accumulation_steps
    if accumulation_steps < 1 or batch_size < 1 or batch_size % unit:
        raise ConfigError(
            f"batch_size={batch_size} is not a multiple of {num_devices} devices × "
            f"accumulation_steps={accumulation_steps}; use a multiple of {unit}, for example "
            f"{max(1, round(batch_size / max(1, unit))) * max(1, unit)}."
        )
