"""The device mesh: batches split along 'data', parameters replicated."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from physio_mae_jax.errors import ConfigError

DATA_AXIS = "data"

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def make_mesh(num_devices: int | None = None) -> Mesh:
    """Lay the devices (all of them, or the first ``num_devices``) along one axis, 'data'."""
    devices = jax.devices()[:num_devices]
    # Auto: the default, Explicit, refuses the gathers of masked columns.
    return jax.make_mesh(
        (len(devices),), (DATA_AXIS,), axis_types=(AxisType.Auto,), devices=devices
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Keep a whole copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def along_batch(mesh: Mesh) -> NamedSharding:
    """Split the first axis over the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def on_mesh(function: Callable[_Arguments, _Result], mesh: Mesh) -> Callable[_Arguments, _Result]:
    """Let a function that is to be jitted know its mesh, as ``signals.wavelet`` asks for."""

    @functools.wraps(function)
    def knowing(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return knowing


def put_batch(batch: dict[str, Any], mesh: Mesh) -> dict[str, jax.Array]:
    """Join each process's share [local B, …] into global arrays [B, …] on the devices."""
    sharding = along_batch(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


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
