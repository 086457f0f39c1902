"""Bounded in-memory cache of decoded samples, so that later epochs do not decode them again."""

import threading

import numpy as np

_Key = tuple[str, int]


class SampleCache:
    """Thread-safe cache without eviction: keeps the first entries until full.

    Training reads every recording once per epoch in a new order, so a full cache serves a constant
    fraction of the reads, while least-recently-used eviction would serve fewer. Unpickling gives
    an empty cache.
    """

    def __init__(self, num_bytes: int) -> None:
        """Create a cache of at most ``num_bytes`` bytes of samples; 0 disables it."""
        self._num_bytes = num_bytes
        self._free = num_bytes
        self._cached: dict[_Key, np.ndarray] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["SampleCache"], tuple[int]]:
        """Pickle without samples and lock: each worker process fills its own cache."""
        return SampleCache, (self._num_bytes,)

    @property
    def num_bytes(self) -> int:
        """Largest number of bytes of samples."""
        return self._num_bytes

    @property
    def used_bytes(self) -> int:
        """Bytes of cached samples."""
        return self._num_bytes - self._free

    def has_room(self, num_bytes: int) -> bool:
        """Return whether ``num_bytes`` more would fit."""
        return num_bytes <= self._free

    def get(self, key: _Key) -> np.ndarray | None:
        """Return the samples of (folder, example index), or None if they are not cached."""
        return self._cached.get(key)

    def add(self, key: _Key, samples: np.ndarray) -> None:
        """Store a read-only copy if it fits and the key is not cached yet."""
        if samples.nbytes > self._free:
            return
        copy = samples.copy()  # decoded samples may be a view of a larger buffer
        copy.setflags(write=False)
        self.keep(key, copy)

    def keep(self, key: _Key, samples: np.ndarray) -> None:
        """Store an array itself, as ``add`` stores a copy; nothing may modify it afterward."""
        with self._lock:
            if key not in self._cached and samples.nbytes <= self._free:
                self._cached[key] = samples
                self._free -= samples.nbytes
