"""Memory of batches that is used again, since new memory has to be mapped page by page."""

import sys
import threading

import numpy as np

# Batches that are read ahead, on their way to the device and in use; further ones are not kept.
_MAX_ARRAYS = 32


class BatchMemory:
    """Float32 arrays that are handed out again and again; thread-safe.

    An array is handed out again only when nothing refers to it but this object, that is, when NumPy
    would have freed it: each view, buffer and JAX array that shares its memory refers to it.
    """

    def __init__(self) -> None:
        """Create an empty memory, which keeps the first arrays that it hands out."""
        self._arrays: list[np.ndarray] = []
        self._shapes: list[tuple[int, ...]] = []
        self._lock = threading.Lock()

    def get(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return an array with undefined values."""
        with self._lock:
            for index, known in enumerate(self._shapes):
                if known == shape and _references(self._arrays, index) == _UNUSED:
                    return self._arrays[index]
            array = np.empty(shape, np.float32)
            if len(self._arrays) < _MAX_ARRAYS:
                self._arrays.append(array)
                self._shapes.append(shape)
            return array


def _references(arrays: list[np.ndarray], index: int) -> int:
    """Return how many references an array has, of which one is the list's and one this call's."""
    return sys.getrefcount(arrays[index])


_UNUSED = _references([np.empty(0)], 0)
