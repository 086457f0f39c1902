"""What is kept in memory of the files that cannot be read in place."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.array_cache import ArrayCache
from physio_mae_jax.data.formats.file_facts import FileRecords
from physio_mae_jax.data.sample_cache import SampleCache

_LOG = logging.getLogger(__name__)
_GIB = 2**30
_OWN_BYTES = 2 * _GIB
_MIB = 2**20


class LoadedArrays:
    """Arrays loaded from the files of a folder, whole or in parts; thread-safe.

    Training shares one cache, bounded by ``data.cache_mib``, between all sources: it keeps the
    first arrays until it is full, and beyond it only the array loaded last is kept. Without it, up
    to 2 GiB are kept, those used last. Unpickling gives an empty cache.
    """

    def __init__(self, cache: SampleCache | None, folder: Path) -> None:
        """Keep arrays of the files of ``folder`` in ``cache``; None for an own cache."""
        self._cache = cache
        self._folder = folder
        self._names: dict[Path, str] = {}
        self._recent = ArrayCache(_OWN_BYTES if cache is None else 0)

    def get(self, file: FileRecords, part: int, load: Callable[[], np.ndarray]) -> np.ndarray:
        """Return part ``part`` of a file, calling ``load`` if it is not in memory."""
        name = self._names.get(file.path)
        if name is None:
            name = f"{file.path}:{file.member}:{file.stored_columns}"
            self._names[file.path] = name
        key = (name, part)
        kept = self._cache.get(key) if self._cache else None
        if kept is not None:
            return kept
        array = self._recent.get(key, load)
        if self._cache and not isinstance(array, np.memmap):
            self._cache.keep(key, array)
        return array

    def warn_if_small(self, num_bytes: int) -> None:
        """Warn if ``num_bytes`` exceed the cache, so that files are loaded repeatedly."""
        bound = _OWN_BYTES if self._cache is None else self._cache.num_bytes
        if num_bytes <= bound:
            return
        larger = f"set --config.data.cache_mib={-(-num_bytes // _MIB)}, or "
        _LOG.warning(
            "%s: its .npz, .csv and .parquet take %.1f GiB and %.1f GiB are kept in memory, so "
            "files are loaded repeatedly; %sconvert them to .npy, which is read in place.",
            self._folder,
            num_bytes / _GIB,
            bound / _GIB,
            "" if self._cache is None else larger,
        )
