"""Keeping recently read arrays in memory, bounded by their bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np


class ArrayCache:
    """Thread-safe cache that evicts the least recently used arrays.

    The most recently used array is kept even if it alone exceeds the bound, since it would
    otherwise be read from disk for every segment. Unpickling gives an empty cache.
    """

    def __init__(self, max_bytes: int) -> None:
        """Create an empty cache of at most ``max_bytes`` bytes."""
        self._max_bytes = max_bytes
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[Hashable, threading.Lock] = {}

    @property
    def num_bytes(self) -> int:
        """Number of bytes in the cache."""
        with self._lock:
            return sum(map(_memory_bytes, self._arrays.values()))

    def get(self, key: Hashable, load: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of ``key``, calling ``load`` if it is not cached.

        If several threads request the same array, one loads it and the others wait; requests for
        other arrays do not wait.
        """
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            with self._lock:
                if key in self._arrays:
                    return self._arrays[key]
            array = load()
            self.put(key, array)
        return array

    def put(self, key: Hashable, array: np.ndarray) -> None:
        """Store ``array`` under ``key`` and evict older arrays beyond the bound."""
        with self._lock:
            self._arrays[key] = array
            self._arrays.move_to_end(key)
            self._loading.pop(key, None)
            num_bytes = sum(map(_memory_bytes, self._arrays.values()))
            while num_bytes > self._max_bytes and len(self._arrays) > 1:
                _, evicted = self._arrays.popitem(last=False)
                num_bytes -= _memory_bytes(evicted)

    def __reduce__(self) -> tuple[type["ArrayCache"], tuple[int]]:
        """Pickle only the bound: locks cannot be pickled, and reading arrays again is faster."""
        return (ArrayCache, (self._max_bytes,))


def _memory_bytes(array: np.ndarray) -> int:
    return 0 if isinstance(array, np.memmap) else array.nbytes
