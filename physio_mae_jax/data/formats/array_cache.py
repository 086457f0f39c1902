"""Keeping recently read arrays in memory, bounded by their bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np


class ArrayCache:
    """Thread-safe cache that evicts the least recently used arrays.

    The array used last is kept even where it is larger than the bound alone, since it would be
    read from disk for every segment otherwise. A pickled cache arrives empty.
    """

    def __init__(self, max_bytes: int) -> None:
        """Create an empty cache of at most ``max_bytes`` bytes."""
        self._max_bytes = max_bytes
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[Hashable, threading.Lock] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        with self._lock:
            return sum(array.nbytes for array in self._arrays.values())

    def get(self, key: Hashable, load: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of ``key``, calling ``load`` if it is not held.

        Of threads that want the same array at the same time one loads it and the others wait;
        threads that want other arrays do not wait.
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
        """Hold ``array`` under ``key`` and evict others where that exceeds the bound."""
        with self._lock:
            self._arrays[key] = array
            self._arrays.move_to_end(key)
            self._loading.pop(key, None)
            held = sum(a.nbytes for a in self._arrays.values())
            while held > self._max_bytes and len(self._arrays) > 1:
                _, given_up = self._arrays.popitem(last=False)
                held -= given_up.nbytes

    def __reduce__(self) -> tuple[type["ArrayCache"], tuple[int]]:
        """Pickle the bound alone: locks cannot travel and arrays are read again faster."""
        return (ArrayCache, (self._max_bytes,))
