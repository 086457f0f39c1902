"""Memory is used again when nothing refers to it, and never before."""

import gc
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physio_mae_jax.data.batch_memory import BatchMemory

SHAPE = (4, 3, 1024)


def address(array):
    return array.__array_interface__["data"][0]


def test_unused_memory_is_handed_out_again():
    memory = BatchMemory()
    seen = set()
    for _ in range(10):
        seen.add(address(memory.get(SHAPE)))
    assert len(seen) == 1


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: array,
        lambda array: array[1:, :, ::2],
        lambda array: array[0].reshape(-1)[5:].view(np.int32),
        lambda array: [array, 0],
        memoryview,
        jnp.asarray,
        jax.device_put,
        lambda array: jax.device_put(array)[1:],
        lambda array: np.asarray(jnp.asarray(array)),
        lambda array: np.from_dlpack(array),
    ],
)
def test_memory_that_something_shares_is_not_handed_out(hold):
    memory = BatchMemory()
    array = memory.get(SHAPE)
    array[...] = 1.0
    held = hold(array)
    del array
    gc.collect()
    for _ in range(3):
        memory.get(SHAPE)[...] = 2.0
    values = held[0] if isinstance(held, list) else held
    assert set(np.array(values).view(np.float32).flat) == {1.0}


def test_memory_of_another_shape_or_beyond_the_limit_is_new():
    memory = BatchMemory()
    arrays = [memory.get(SHAPE) for _ in range(40)]
    assert len({address(array) for array in arrays}) == 40
    assert memory.get((2, 3)).shape == (2, 3)


def test_threads_get_different_memory():
    memory = BatchMemory()

    def fill(value):
        wrong = 0
        for _ in range(200):
            array = memory.get((64, 8))
            array[...] = value
            wrong += int((array != value).sum())
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(fill, range(8))) == 0
