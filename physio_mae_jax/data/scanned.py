"""Some recordings of a source, their gaps found by reading them once where nobody knows them."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from physio_mae_jax.data.arrays import gaps_of
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import JoinedSource
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import DataError

# 64 MiB of float32 at a time, so that a record of days does not have to fit in memory.
_VALUES_A_READ = 2**24


class ScannedRecordings:
    """Recordings of a ``JoinedSource``; a ``SignalSource``.

    Attributes:
        indices: of the recordings in the joined source, without those that cannot be read.
        unreadable: (record id, why) of these.
    """

    def __init__(
        self, source: JoinedSource, indices: Sequence[int], *, skip_unreadable: bool
    ) -> None:
        """Read recordings whose gaps are not known.

        Raises:
            DataError: one cannot be read, unless such are skipped.
        """
        self._source = source
        self.indices: list[int] = []
        self.unreadable: list[tuple[str, str]] = []
        self._recordings: list[RecordingInfo] = []
        for index in indices:
            try:
                info = _scanned(source, index)
            except DataError as error:
                if not skip_unreadable:
                    raise
                self.unreadable.append((source.recordings[index].record_id, str(error)))
                continue
            self.indices.append(index)
            self._recordings.append(info)

    @property
    def recordings(self) -> Sequence[RecordingInfo]:
        """Describe every recording; index i here is index i of ``read``."""
        return self._recordings

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of recording ``index``, see ``SignalSource``."""
        return self._source.read(self.indices[index], start, stop)


def _scanned(source: JoinedSource, index: int) -> RecordingInfo:
    info = source.recordings[index]
    if isinstance(source.origin(index)[0], PreparedSource):
        return info  # its gaps were found when it was prepared
    gaps = [
        (row, begin + start, begin + stop)
        for begin, signal in _stretches(source, index)
        for row, start, stop in gaps_of(signal)
    ]
    return dataclasses.replace(info, gaps=tuple(gaps))


def _stretches(source: JoinedSource, index: int) -> Iterator[tuple[int, np.ndarray]]:
    info = source.recordings[index]
    step = max(1, _VALUES_A_READ // max(1, len(info.channel_names)))
    for start in range(0, info.num_samples, step):
        yield start, source.read(index, start, min(start + step, info.num_samples))
