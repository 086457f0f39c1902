"""Selected recordings of a source; unknown gaps are found in one pass over the samples."""

import dataclasses
import logging
import time
from collections.abc import Iterator, Sequence

import numpy as np

from physio_mae_jax.data.arrays import find_gaps
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError

_LOG = logging.getLogger(__name__)
_SECONDS_PER_LINE = 5.0
# 4 MiB of float32 per read, so that recordings may exceed the memory.
_VALUES_PER_READ = 2**20
# 128 MiB of float32: recordings that fit into one read are cached for the next read.
_MAX_CACHED_VALUES = 2**25


class ScannedRecordings:
    """Recordings of a ``ConcatSource``; a ``SignalSource``.

    Attributes:
        indices: Indices of readable recordings in the joined source.
        unreadable: (record id, reason) of unreadable recordings.
    """

    def __init__(
        self, source: ConcatSource, indices: Sequence[int], *, skip_unreadable: bool
    ) -> None:
        """Scan recordings whose gaps are unknown.

        Raises:
            DataError: a recording is unreadable and ``skip_unreadable`` is False.
        """
        self._source = source
        self.indices: list[int] = []
        self.unreadable: list[tuple[str, str]] = []
        self._recordings: list[RecordingInfo] = []
        self._cached: dict[int, np.ndarray] = {}
        num_free = _MAX_CACHED_VALUES
        progress = _Progress(sum(source.recordings[index].seconds for index in indices))
        for index in indices:
            try:
                info, samples = _scan(source, index, progress)
            except DataError as error:
                if not skip_unreadable:
                    raise
                self.unreadable.append((source.recordings[index].record_id, str(error)))
                continue
            if samples is not None and samples.size <= num_free:
                num_free -= samples.size
                self._cached[len(self.indices)] = samples
            self.indices.append(index)
            self._recordings.append(info)

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Metadata of every recording; index i is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``."""
        if index in self._cached:
            self._recordings[index].reject_outside(start, stop)
            return self._cached[index][:, start:stop]
        return self._source.read(self.indices[index], start, stop)


class _Progress:
    """Logs the progress of a scan, once it takes more than a few seconds."""

    def __init__(self, total_seconds: float) -> None:
        self._total_seconds, self._done_seconds = total_seconds, 0.0
        self._logged = time.monotonic()

    def add(self, seconds: float) -> None:
        self._done_seconds += seconds
        if time.monotonic() - self._logged > _SECONDS_PER_LINE:
            self._logged = time.monotonic()
            _LOG.info(
                "searched %.3g of %.3g h of recordings for missing values",
                self._done_seconds / 3600,
                self._total_seconds / 3600,
            )


def _scan(
    source: ConcatSource, index: int, progress: _Progress
) -> tuple[RecordingInfo, np.ndarray | None]:
    """Return a recording with its gaps, and its samples if they fit into one read."""
    info = source.recordings[index]
    if isinstance(source.origin(index)[0], PreparedSource):
        return info, None  # its gaps were found when it was prepared
    gaps: list[tuple[int, int, int]] = []
    samples = None
    for begin, signal in _chunks(source, index):
        gaps += [(row, begin + start, begin + stop) for row, start, stop in find_gaps(signal)]
        samples = signal if signal.shape[1] == info.num_samples else None
        progress.add(signal.shape[1] / info.sampling_rate_hz)
    return dataclasses.replace(info, gaps=tuple(gaps)), samples


def _chunks(source: ConcatSource, index: int) -> Iterator[tuple[int, np.ndarray]]:
    info = source.recordings[index]
    step = max(1, _VALUES_PER_READ // max(1, len(info.channel_names)))
    for start in range(0, info.num_samples, step):
        yield start, source.read(index, start, min(start + step, info.num_samples))
