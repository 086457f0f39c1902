"""Cached blocks of recordings whose files are slow to read, such as WFDB and EDF."""

from collections.abc import Callable

import numpy as np

from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.source import SignalSource

# Samples of a block, per channel: 131 s at 500 Hz.
BLOCK_SAMPLES = 2**16


class BlockCache:
    """Reads samples of a source by whole blocks, as long as they fit the cache.

    A later read of the same block opens no file; a file that changes meanwhile is read as it was.
    Once the cache is full, other samples are read exactly as requested.
    """

    def __init__(
        self,
        source: SignalSource,
        cache: SampleCache,
        name: str,
        is_kept: Callable[[int], bool] = lambda index: False,
    ) -> None:
        """Cache the blocks of a source.

        Args:
            source: Source of the recordings.
            cache: Cache of the blocks.
            name: Name of the source, unique in the cache.
            is_kept: Whether the source itself keeps the samples of a recording in memory; they are
                not cached again.
        """
        self._source = source
        self._cache = cache
        self._name = name
        self._is_kept = is_kept

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``."""
        self._source.recordings[index].reject_outside(start, stop)
        first, last = start // BLOCK_SAMPLES, (stop - 1) // BLOCK_SAMPLES
        if start >= stop or last - first > 1 or self._is_kept(index):
            return self._source.read(index, start, stop)
        blocks = [self._block(index, number) for number in range(first, last + 1)]
        if any(block is None for block in blocks):
            return self._source.read(index, start, stop)
        found = [block for block in blocks if block is not None]
        joined = found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        offset = first * BLOCK_SAMPLES
        return joined[:, start - offset : stop - offset]

    def _block(self, index: int, number: int) -> np.ndarray | None:
        """Return a block, read now if the cache has room for it; None if it has not."""
        key = (f"{self._name}:{index}", number)
        block = self._cache.get(key)
        if block is not None:
            return block
        info = self._source.recordings[index]
        first = number * BLOCK_SAMPLES
        stop = min(info.num_samples, first + BLOCK_SAMPLES)
        if not self._cache.has_room(4 * len(info.channel_names) * (stop - first)):
            return None
        block = self._source.read(index, first, stop)
        self._cache.add(key, block)
        return block
