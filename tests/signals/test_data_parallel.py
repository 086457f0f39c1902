"""Functions of examples give the same on one device and with the batch divided."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.signals.data_parallel import shard_map_batch


@pytest.mark.parametrize("examples", [8, 6])  # of which 8 are divided over the devices
def test_a_divided_batch_gives_what_a_whole_one_does(examples):
    values = jnp.arange(examples * 3.0).reshape(examples, 3)
    sizes = []

    def scaled(rows, factor):
        sizes.append(len(rows))
        return rows * factor

    apply = jax.jit(lambda v: shard_map_batch(scaled, v, shared=(jnp.float32(2),)))
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh):
        np.testing.assert_array_equal(apply(values), 2 * values)
    assert sizes[-1] == (1 if examples == 8 else examples)
