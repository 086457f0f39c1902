"""Decoded samples kept in memory up to a bound, so that later epochs do not decode them again."""

import threading

import numpy as np

_Key = tuple[str, int]


class SampleCache:
    """Keeps what it is given first until it is full; safe to share between threads and sources.

    Nothing is thrown out for what comes later: training reads every recording once an epoch, in
    another order each time, so a full cache answers exactly its share of the reads, while throwing
    out what was used longest ago would answer fewer. A pickled copy begins empty.
    """

    def __init__(self, num_bytes: int) -> None:
        """Keep at most so many bytes of samples; 0 keeps nothing."""
        self._num_bytes = num_bytes
        self._free = num_bytes
        self._kept: dict[_Key, np.ndarray] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["SampleCache"], tuple[int]]:
        """Leave the samples and the lock behind: a worker process fills a cache of its own."""
        return SampleCache, (self._num_bytes,)

    @property
    def used_bytes(self) -> int:
        """Bytes of the samples that are kept."""
        return self._num_bytes - self._free

    def get(self, key: _Key) -> np.ndarray | None:
        """Return the samples of (folder, number of the example), or None where none are kept."""
        return self._kept.get(key)

    def add(self, key: _Key, samples: np.ndarray) -> None:
        """Keep a copy that nobody can write to, if there is room and none is kept yet."""
        if samples.nbytes > self._free:
            return
        copy = samples.copy()  # what was decoded may be a view of a larger buffer
        copy.setflags(write=False)
        with self._lock:
            if key not in self._kept and copy.nbytes <= self._free:
                self._kept[key] = copy
                self._free -= copy.nbytes
