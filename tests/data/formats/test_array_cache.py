"""Arrays are kept within a bound, and loaded once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from physio_mae_jax.data.formats.array_cache import ArrayCache


def test_cache_gives_up_the_array_unused_for_longest() -> None:
    cache, loads = ArrayCache(3000), []

    def get(key: str) -> None:
        cache.get(key, lambda: loads.append(key) or np.zeros(1000, np.uint8))

    for key in ("a", "b", "c", "a", "d", "a", "b"):
        get(key)
        assert cache.num_bytes <= 3000
    assert loads == ["a", "b", "c", "d", "b"]


def test_cache_loads_once_for_many_threads() -> None:
    cache, loads, together = ArrayCache(10), [], threading.Barrier(8)

    def get(_: int) -> np.ndarray:
        together.wait()
        return cache.get("a", lambda: loads.append(1) or np.zeros(1000))

    with ThreadPoolExecutor(8) as pool:
        arrays = list(pool.map(get, range(8)))
    assert len(loads) == 1
    assert all(array is arrays[0] for array in arrays)
