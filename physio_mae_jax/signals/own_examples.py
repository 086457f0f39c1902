"""Functions of examples that the compiler would not divide over devices by itself."""

from collections.abc import Callable

import jax
from jax.sharding import PartitionSpec


def each_device_its_own(function: Callable[..., jax.Array], *values: jax.Array) -> jax.Array:
    """Apply a function of examples [B, …], each device to those that it holds.

    The compiler divides neither an FFT nor a hand-written kernel over the examples of a batch: it
    would gather all of them on every device. So it is told to, where the caller has named its mesh
    (``jax.set_mesh``, or ``jax.sharding.use_abstract_mesh`` within a traced function).
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1 or len(values[0]) % mesh.size:
        return function(*values)
    split = PartitionSpec(mesh.axis_names)
    # A kernel does not say over which axes its result varies, so that is not checked.
    return jax.shard_map(function, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)(
        *values
    )
