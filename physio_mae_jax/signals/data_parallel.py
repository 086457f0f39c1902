"""Functions of examples that the compiler would not divide over devices by itself."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import AxisType, PartitionSpec


def shard_map_batch(
    function: Callable[..., Any], *values: jax.Array, shared: Sequence[jax.Array] = ()
) -> Any:
    """Apply a function of examples, each device to those that it holds.

    The compiler divides neither an FFT nor a hand-written kernel over the examples of a batch: it
    would gather all of them on every device. So it is told to, where the caller has named its mesh
    (``jax.set_mesh``, or ``jax.sharding.use_abstract_mesh`` within a traced function).

    Args:
        function: of ``values`` and ``shared``, to arrays [B, …] that it must not add up over
            examples.
        values: [B, …] each.
        shared: whole on every device.
    """
    mesh = jax.sharding.get_abstract_mesh()
    is_divided = AxisType.Manual in mesh.axis_types  # by a caller: a device sees its own already
    if mesh.empty or mesh.size == 1 or is_divided or len(values[0]) % mesh.size:
        return function(*values, *shared)
    split = PartitionSpec(mesh.axis_names)
    specs = (*[split] * len(values), *[PartitionSpec()] * len(shared))
    # A kernel does not say over which axes its result varies, so that is not checked.
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)(
        *values, *shared
    )
