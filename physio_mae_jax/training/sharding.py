"""The device mesh: batches split along 'data', parameters replicated."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from physio_mae_jax.errors import ConfigError

DATA_AXIS = "data"


def make_mesh(num_devices: int | None = None, among: Sequence[jax.Device] | None = None) -> Mesh:
    """Lay devices (all of them, or the first ``num_devices``) along one axis, 'data'.

    Args:
        num_devices: how many.
        among: which; None for those of all processes.
    """
    devices = (jax.devices() if among is None else among)[:num_devices]
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
