"""Data parallelism for per-example functions that the compiler does not partition."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
from jax.sharding import AxisType, PartitionSpec

_Result = TypeVar("_Result")


def shard_map_batch(
    function: Callable[..., _Result], *values: jax.Array, shared: Sequence[jax.Array] = ()
) -> _Result:
    """Apply a per-example function with the batch axis sharded over devices.

    The compiler does not partition FFTs and custom kernels over the batch, but gathers all examples
    on every device. ``shard_map`` partitions them if the caller has set its mesh
    (``jax.set_mesh``, or ``jax.sharding.use_abstract_mesh`` within a traced function).

    Args:
        function: Function of ``values`` and ``shared`` that returns arrays [B, …] and does not
            reduce over examples.
        values: Arrays [B, …], sharded over the batch axis.
        shared: Arrays replicated on every device.
    """
    if count_batch_shards(values[0]) == 1:
        return function(*values, *shared)
    mesh = jax.sharding.get_abstract_mesh()
    split = PartitionSpec(mesh.axis_names)
    specs = (*[split] * len(values), *[PartitionSpec()] * len(shared))
    # Kernels do not declare the axes over which their results vary, so the check is disabled.
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)(
        *values, *shared
    )


def count_batch_shards(batch: jax.Array) -> int:
    """Return over how many devices ``shard_map_batch`` divides [B, …]; 1 if it does not."""
    mesh = jax.sharding.get_abstract_mesh()
    is_divided = AxisType.Manual in mesh.axis_types  # already inside a shard_map: inputs are local
    # Without a mesh B may be symbolic, in a program that is exported for any number of examples.
    return 1 if mesh.empty or is_divided or len(batch) % mesh.size else mesh.size
